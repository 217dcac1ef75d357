import type { DownloadProgress } from '../hub/fetch-model.js';
import { type Log, printableLog } from '../log.js';
import { type Resolved, type ResolveOptions, resolveModel, resolveVae } from './resolve.js';

/** Options of loading that name things. */
interface Named extends ResolveOptions {
  readonly vae?: string | undefined;
  readonly previewVae?: string | undefined;
  readonly log?: Log | undefined;
}

/** Lines about a download, where nobody shows it otherwise. */
const LINES = 10;

/**
 * Finds what a caller names, and downloads what is not here yet: the model's place, and options without names.
 *
 * @param classAt tells the pipeline of a model at a place; it is asked where an autoencoder goes by the model's kind.
 */
export async function resolveNames<Options extends Named>(
  model: string,
  options: Options,
  classAt: (path: string, options: Options) => Promise<string>,
): Promise<Resolved & { load: Options }> {
  const { onProgress = linesOf(options.log) } = options;
  const found = await resolveModel(model, { ...options, onProgress });
  const paths: Record<string, string> = {};
  for (const option of ['vae', 'previewVae'] as const) {
    const given = options[option];
    if (given === undefined) continue;
    const classOf = () => classAt(found.path, options);
    paths[option] = await resolveVae(given, { ...options, onProgress, option, classOf });
  }
  return { ...found, load: { ...options, ...paths } };
}

function linesOf(given: Log | undefined): (progress: DownloadProgress) => void {
  const log = printableLog(given);
  const gigabytes = (bytes: number) => (bytes / 1e9).toFixed(2);
  let told = 0;
  return ({ model, received, total }) => {
    const share = total > 0 ? Math.floor((LINES * received) / total) : 0;
    if (share <= told) return;
    told = share;
    log(`${model}: ${gigabytes(received)} of ${gigabytes(total)} GB are here`);
  };
}
