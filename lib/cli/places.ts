import { type ResolveOptions, resolveExtra, resolveModel } from '../library/resolve.js';
import type { CliContext } from './context.js';
import { StatusLine, WorkProgress } from './status-line.js';

/** Flags that name what a run takes, and where it is looked for. */
interface PlaceFlags
  extends Pick<ResolveOptions, 'modelsDir' | 'revision' | 'variant' | 'offline' | 'cacheDir'> {
  model?: string | undefined;
  refiner?: string | undefined;
  vae?: string | undefined;
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
  const { model, refiner, vae, modelsDir } = flags;
  const line = new StatusLine(context, !flags.quiet);
  const { signal } = context;
  const find = async (name: string, options: ResolveOptions) => {
    const progress = new WorkProgress(
      line,
      `downloading ${name}`,
      (bytes) => `${(bytes / 1e9).toFixed(1)} GB`,
    );
    try {
      const { path, remark } = await resolveModel(name, {
        ...options,
        signal,
        onProgress: ({ received, total }) => total > 0 && progress.update(received, total),
      });
      if (remark !== undefined) line.remark(remark);
      return path;
    } finally {
      line.clear();
    }
  };
  const { revision: _, ...others } = flags;
  return {
    ...flags,
    ...(model !== undefined && { model: await find(model, flags) }),
    // The revision is the model's.
    ...(refiner !== undefined && { refiner: await find(refiner, others) }),
    ...(vae !== undefined && { vae: await resolveExtra('vae', vae, { modelsDir, signal, option: 'vae' }) }),
  };
}
