import { invalidArgument } from '../errors.js';
import { expandHome } from '../files/home.js';
import { statOf } from '../files/read.js';
import { type FetchOptions, fetchModel } from '../hub/fetch-model.js';
import { hubName } from '../hub/places.js';
import { meantFolder } from '../models/demo-model.js';
import type { LibraryKind } from './layouts.js';
import { findInLibrary, isName, modelsFolder, notInLibrary } from './library.js';

export interface ResolveOptions extends FetchOptions {
  /** A folder of models that image programs share. */
  readonly modelsDir?: string | undefined;
}

/** Where a model is, and what was done to find it. */
export interface Resolved {
  readonly path: string;
  readonly remark?: string;
}

/**
 * The place of the model that a name stands for: what lies at the path; else a model of that name in the folder of
 * models; else one of the Hugging Face Hub, downloaded where it is not yet. What is none of them is given back as it is:
 * who reads it says what is wrong.
 *
 * @throws DeepCacheError see {@link fetchModel}; ERR_DEEPCACHE_INVALID_ARGUMENT for a name that means several models.
 */
export async function resolveModel(given: string, options: ResolveOptions = {}): Promise<Resolved> {
  if (typeof given !== 'string' || given === '' || isThere(given)) return { path: given };
  const found = await lookUp('model', given, { ...options, option: 'model' });
  if (found !== undefined) return { path: found, remark: `${given}: ${found}` };
  const name = hubName(given);
  if (name !== undefined) return fetchModel(name, options);
  const folder = modelsFolder(options.modelsDir);
  if (folder !== undefined && isName(given)) {
    throw await notInLibrary(folder, 'model', given, { option: 'model', signal: options.signal });
  }
  return { path: given };
}

/** The same for what goes with a model, which only a path or a name in the folder of models can mean. */
export async function resolveExtra(
  kind: LibraryKind,
  given: string,
  options: Pick<ResolveOptions, 'modelsDir' | 'signal'> & { option: string },
): Promise<string> {
  if (isThere(given)) return expandHome(given);
  const found = await lookUp(kind, given, options);
  if (found !== undefined) return found;
  const folder = modelsFolder(options.modelsDir);
  if (folder !== undefined && isName(given)) throw await notInLibrary(folder, kind, given, options);
  return expandHome(given);
}

/** The small autoencoders of the Hub that `'tiny'` stands for: TAESD, and its relative for SDXL. */
const TINY_VAES = { sd: 'madebyollin/taesd', xl: 'madebyollin/taesdxl' };
const TINY = 'tiny';

/**
 * The same for an autoencoder, which may be on the Hub as well; `'tiny'` is the small one there of the model's kind.
 *
 * @param options `classOf` tells the model's pipeline.
 * @throws DeepCacheError see {@link fetchModel}; ERR_DEEPCACHE_INVALID_ARGUMENT for a name that means several, or a model
 * that there is no small one for.
 */
export async function resolveVae(
  given: string,
  options: ResolveOptions & { option: string; classOf: () => Promise<string> },
): Promise<string> {
  const { option, revision: _, variant: __, ...own } = options;
  const wanted = given === TINY ? tinyVaeOf(await options.classOf(), option) : given;
  if (isThere(wanted)) return expandHome(wanted);
  const found = await lookUp('vae', wanted, options);
  if (found !== undefined) return found;
  const name = hubName(wanted);
  // The revision and the variant are the model's.
  return name === undefined ? resolveExtra('vae', wanted, options) : (await fetchModel(name, own)).path;
}

function tinyVaeOf(className: string, option: string): string {
  if (className.includes('XL')) return TINY_VAES.xl;
  if (
    /^(?!StableDiffusionUpscale)(?:StableDiffusion|AnimateDiff|LatentConsistency|TextToVideoZero)/.test(
      className,
    )
  )
    return TINY_VAES.sd;
  throw invalidArgument(
    option,
    `is '${TINY}', which stands for the small autoencoders of Stable Diffusion and SDXL; there is none for a ${className}`,
  );
}

async function lookUp(
  kind: LibraryKind,
  given: string,
  { modelsDir, signal, option }: Pick<ResolveOptions, 'modelsDir' | 'signal'> & { option: string },
): Promise<string | undefined> {
  const folder = modelsFolder(modelsDir);
  return folder === undefined ? undefined : findInLibrary(folder, kind, given, { option, signal });
}

/** Whether something lies there; what cannot be looked at is reported by who reads it. */
function isThere(given: string): boolean {
  const path = expandHome(meantFolder(given));
  try {
    return statOf(path) !== undefined;
  } catch {
    return true;
  }
}
