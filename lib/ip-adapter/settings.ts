import { DeepCacheError } from '../errors.js';
import { checkIpAdapterScale, type IpAdapterScale } from './scale.js';

/** An IP-Adapter of a run, as the settings of its pictures name it. */
export interface ImagePromptUse {
  readonly file: string;
  /** {@link IpAdapterInfo.hash} */
  readonly hash: string;
  /** Folder of the image encoder. */
  readonly encoder?: string;
  readonly scale: IpAdapterScale;
  /** What it read; absent: encoded pictures. */
  readonly images?: readonly {
    /** Absent: pixels. */
    readonly file?: string;
    /** See hashOf. */
    readonly hash: string;
  }[];
}

const FIELD = 'IP-Adapters';

/** What a picture's settings say of the pictures that prompted it. */
export function imagePromptFields(
  uses: readonly ImagePromptUse[] | undefined,
): Readonly<Record<string, unknown>> {
  return uses === undefined ? {} : { [FIELD]: JSON.stringify(uses) };
}

/**
 * The same from the settings' text.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for a text that is none, ERR_DEEPCACHE_UNSUPPORTED for pictures
 * that were no files.
 */
export function imagePromptsOf(text: string): ImagePromptUse[] {
  const unlike = new DeepCacheError(
    'ERR_DEEPCACHE_INVALID_ARGUMENT',
    `from has ${FIELD} that are not a list of files with their pictures`,
  );
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch {
    throw unlike;
  }
  if (!Array.isArray(list) || list.length === 0 || list.length > 16) throw unlike;
  const isText = (value: unknown) => typeof value === 'string' && value !== '';
  for (const use of list as (Partial<ImagePromptUse> | null)[]) {
    const { file, hash, encoder, images, scale } = use ?? {};
    if (![file, hash].every(isText) || (encoder !== undefined && !isText(encoder))) throw unlike;
    checkIpAdapterScale(`from: the scale of ${FIELD}`, scale);
    const pictures: unknown = images ?? [];
    if (!Array.isArray(pictures) || !pictures.every((one) => isText(one?.hash))) throw unlike;
    if (pictures.length > 0 && pictures.every((one) => isText(one.file))) continue;
    throw new DeepCacheError(
      'ERR_DEEPCACHE_UNSUPPORTED',
      `the picture was prompted through ${file} by pictures that were no files, which its settings do not hold`,
    );
  }
  return list;
}
