import { type ResolveOptions, resolveModel, resolveVae } from '../library/resolve.js';
import { classAt } from '../pipelines/loading/model-index.js';
import type { CliContext } from './context.js';
import { modelFolder } from './default-model.js';
import { StatusLine, WorkProgress } from './status-line.js';

/** Flags that name what a run takes, and where it is looked for. */
interface PlaceFlags
  extends Pick<ResolveOptions, 'modelsDir' | 'revision' | 'variant' | 'offline' | 'cacheDir'> {
  model?: string | undefined;
  refiner?: string | undefined;
  vae?: string | undefined;
  previewVae?: string | undefined;
  quiet?: boolean | undefined;
}

/**
 * The same flags with paths: names in the folder of models are looked up, and models of the Hugging Face Hub are
 * downloaded, with a line that says how far they are.
 */
export async function withPlaces<Flags extends PlaceFlags>(
  flags: Flags,
  context: CliContext,
): Promise<Flags> {
  const { model, refiner, vae, previewVae } = flags;
  const line = new StatusLine(context, !flags.quiet);
  const { signal } = context;
  const find = async <T>(name: string, work: (options: ResolveOptions) => Promise<T>) => {
    const progress = new WorkProgress(
      line,
      `downloading ${name}`,
      (bytes) => `${(bytes / 1e9).toFixed(1)} GB`,
    );
    try {
      return await work({
        signal,
        onProgress: ({ received, total }) => total > 0 && progress.update(received, total),
      });
    } finally {
      line.clear();
    }
  };
  const findModel = async (name: string, given: ResolveOptions) => {
    const { path, remark } = await find(name, (options) => resolveModel(name, { ...given, ...options }));
    if (remark !== undefined) line.remark(remark);
    return path;
  };
  const found = model === undefined ? undefined : await findModel(model, flags);
  const classOf = () => classAt(modelFolder(found).folder, { signal });
  const findVae = (name: string, option: string) =>
    find(name, (options) => resolveVae(name, { ...flags, ...options, option, classOf }));
  const { revision: _, ...others } = flags;
  return {
    ...flags,
    ...(found !== undefined && { model: found }),
    // The revision is the model's.
    ...(refiner !== undefined && { refiner: await findModel(refiner, others) }),
    ...(vae !== undefined && { vae: await findVae(vae, 'vae') }),
    ...(previewVae !== undefined && { previewVae: await findVae(previewVae, 'previewVae') }),
  };
}
