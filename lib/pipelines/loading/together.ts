import { SharedModels } from './shared-models.js';

interface Model {
  dispose(): void;
}

/** Notes a model as part of what is being loaded. */
export type Keep = <T extends Model>(loading: Promise<T>) => Promise<T>;

/**
 * Loads several models that belong together: those that `load` hands to `keep` are freed when it fails.
 *
 * @param load receives `keep`, and what will share all that was kept.
 */
export async function loadTogether<T>(load: (keep: Keep, models: SharedModels) => Promise<T>): Promise<T> {
  const models: Model[] = [];
  const keep: Keep = async (loading) => {
    const model = await loading;
    models.push(model);
    return model;
  };
  try {
    return await load(keep, new SharedModels(models));
  } catch (error) {
    for (const model of models) model.dispose();
    throw error;
  }
}
