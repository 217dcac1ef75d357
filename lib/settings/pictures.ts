import { DeepCacheError } from '../errors.js';
import { hashOf } from '../images/hash.js';
import { type ImageInput, type ImageSource, isImagePath, loadPicture } from '../images/input.js';
import type { SettingsFields } from '../pipelines/outputs/settings.js';
import type { Tensor } from '../tensor.js';

// The pictures that a run was made from, as its settings name them: by their files, with what tells whether these are as
// they were.

/** A picture of a run. */
export interface PictureUse {
  /** Absent: pixels that were no file. */
  readonly file?: string;
  /** See {@link hashOf}. Absent: a tensor. */
  readonly hash?: string;
}

/** One for each image of a run, or lists of such: one for each network. */
type Uses = PictureUse | readonly Uses[];

type Given = ImageInput | readonly ImageInput[];

/** What settings call the options. */
const FIELDS = {
  image: 'Image',
  maskImage: 'Mask',
  depthMap: 'Depth map',
  controlImage: 'Control images',
  t2iAdapterImage: 'T2I-Adapter images',
} as const;

/** Options that are pictures. */
export type PictureOption = keyof typeof FIELDS;

export const PICTURE_FIELDS = Object.entries(FIELDS).map(([option, field]) => ({
  option: option as PictureOption,
  field,
}));

/** The pictures of a run, looked at once. */
export class UsedPictures {
  private constructor(private readonly uses: ReadonlyMap<PictureOption, Uses>) {}

  static async of(
    options: { readonly [Name in PictureOption]?: unknown },
    signal: AbortSignal | undefined,
  ): Promise<UsedPictures> {
    const uses = new Map<PictureOption, Uses>();
    for (const { option } of PICTURE_FIELDS) {
      const given = options[option];
      if (given !== undefined) uses.set(option, await usesOf(given as Given, signal));
    }
    return new UsedPictures(uses);
  }

  /**
   * The fields of one image of a batch.
   *
   * @param kinds of pictures that each ControlNet takes at once; 0: one for all images, or one for each prompt.
   */
  fields(image: number, batch: number, kinds: readonly number[] = []): SettingsFields {
    const own = (uses: Uses): Uses =>
      isList(uses) ? (uses[Math.floor((image * uses.length) / batch)] as Uses) : uses;
    const turns = (uses: Uses): Uses => (isList(uses) ? (uses[image % uses.length] as Uses) : uses);
    const perNetwork = (uses: Uses, networks: readonly number[]): Uses =>
      networks.length > 1 && isList(uses)
        ? uses.map((one, i) => (networks[i] ? one : own(one)))
        : networks[0]
          ? uses
          : own(uses);
    const fields: Record<string, unknown> = {};
    for (const { option, field } of PICTURE_FIELDS) {
      const uses = this.uses.get(option);
      if (!uses) continue;
      const beside = option === 'controlImage' ? kinds : undefined;
      const chosen = beside ? perNetwork(uses, beside) : option === 't2iAdapterImage' ? uses : turns(uses);
      fields[field] = JSON.stringify(chosen);
    }
    return fields;
  }
}

const isList = (uses: Uses): uses is readonly Uses[] => Array.isArray(uses);

async function usesOf(given: Given, signal: AbortSignal | undefined): Promise<Uses> {
  if (Array.isArray(given)) {
    const uses: Uses[] = [];
    for (const one of given as readonly ImageInput[]) uses.push(await usesOf(one, signal));
    return uses;
  }
  if (Array.isArray((given as Partial<Tensor>).shape)) return {};
  const hash = await hashOf(await loadPicture('image', given as ImageSource, signal), signal);
  return { ...(isImagePath(given) && { file: given }), hash };
}

/**
 * The pictures that a field names.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for a text that names none.
 */
export function picturesOfField(field: string, text: string): Uses {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {}
  const isUse = (one: unknown): boolean => {
    if (Array.isArray(one)) return one.length > 0 && one.length <= 16 && one.every(isUse);
    const { file = 'a', hash = 'a' } = (one ?? {}) as Partial<Record<string, unknown>>;
    return typeof one === 'object' && one !== null && typeof file === 'string' && typeof hash === 'string';
  };
  if (isUse(value)) return value as Uses;
  throw new DeepCacheError('ERR_DEEPCACHE_INVALID_ARGUMENT', `from has ${field} that name no pictures`);
}
