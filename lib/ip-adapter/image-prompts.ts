import { invalidArgument } from '../errors.js';
import { clipPixels } from '../images/clip-picture.js';
import { hashOf } from '../images/hash.js';
import { type ImageSource, isImagePath, type LoadedImage, loadImages } from '../images/input.js';
import { finish } from '../native/device.js';
import type { ImagePrompt } from '../native/types.js';
import { checkTensor } from '../options/checks.js';
import type { OptionsOf } from '../options/spec/index.js';
import { concat, type Tensor } from '../tensor.js';
import type { IpAdapters, LoadedIpAdapter } from './ip-adapters.js';
import { type IpAdapterScale, scalesOf } from './scale.js';
import type { ImagePromptUse } from './settings.js';

/** The options of a run that are about pictures beside the prompt. */
export type ImagePromptOptions = Pick<
  OptionsOf<'text2img'>,
  'ipAdapterImage' | 'ipAdapterImageEmbeds' | 'ipAdapterScale'
>;

/** What the rows of a U-Net's call read, those of all images for each output of the guidance in turn. */
interface RunRows {
  /** Images. */
  readonly batch: number;
  /** Of each output, in their order. */
  readonly outputs: readonly ('negative' | 'positive')[];
  readonly signal?: AbortSignal | undefined;
}

/** What one adapter reads: pictures, or what an encoder made of them. */
interface Given {
  readonly adapter: LoadedIpAdapter;
  readonly scales: readonly number[];
  /** As it was given. */
  readonly scale: IpAdapterScale;
  readonly pictures?: readonly Picture[];
  readonly embeds?: Tensor;
  readonly count: number;
}

interface Picture {
  readonly loaded: LoadedImage;
  /** Its path, where it has one. */
  readonly file: string | undefined;
}

/** The pictures of a run, looked at, for every adapter that is loaded. */
export class ImagePrompts {
  readonly #hashes = new Map<Picture, string>();

  private constructor(private readonly given: readonly Given[]) {}

  /**
   * Throws what is wrong with the options, and looks at files.
   *
   * @param adapters undefined: the models take none.
   */
  static async read(
    adapters: IpAdapters | undefined,
    options: ImagePromptOptions,
    signal?: AbortSignal,
  ): Promise<ImagePrompts> {
    const { ipAdapterImage, ipAdapterImageEmbeds, ipAdapterScale = 1 } = options;
    const name = ipAdapterImage === undefined ? 'ipAdapterImageEmbeds' : 'ipAdapterImage';
    const values = ipAdapterImage ?? ipAdapterImageEmbeds;
    if (values === undefined) return new ImagePrompts([]);
    const loaded = adapters?.loaded ?? [];
    if (!adapters || loaded.length === 0)
      throw invalidArgument(name, 'is for IP-Adapters, of which none is loaded: call loadIpAdapter()');
    const each = perAdapter<unknown>(name, values, loaded.length);
    const scales = perAdapter('ipAdapterScale', ipAdapterScale, loaded.length, true);
    const names = adapters.attentions.map((attention) => attention.name);
    const given: Given[] = [];
    for (const [i, adapter] of loaded.entries()) {
      const own = loaded.length === 1 ? name : `${name}[${i}]`;
      const scale = scales[i] as IpAdapterScale;
      const shared = { adapter, scale, scales: scalesOf('ipAdapterScale', scale, names) };
      if (ipAdapterImage === undefined) {
        const embeds = await checkEmbeds(own, each[i] as Tensor, adapter, signal);
        given.push({ ...shared, embeds, count: embeds.shape.at(adapter.readsTokens ? -3 : -2) as number });
      } else {
        const pictures = await picturesOf(
          own,
          each[i] as ImageSource | readonly ImageSource[],
          adapter,
          signal,
        );
        given.push({ ...shared, pictures, count: pictures.length });
      }
    }
    return new ImagePrompts(given);
  }

  /** Tokens that each adapter brings. */
  get tokens(): number[] {
    return this.given.map(({ adapter, count }) => count * adapter.tokens);
  }

  /** What the U-Net reads, in the order of its rows. */
  async encode(rows: RunRows): Promise<{ imagePrompts?: readonly ImagePrompt[] }> {
    if (this.given.length === 0) return {};
    const imagePrompts: ImagePrompt[] = [];
    for (const one of this.given) imagePrompts.push(await encodeOne(one, rows, this.#hashes));
    return { imagePrompts };
  }

  /** What they are in the settings of the run's pictures, once they were encoded; undefined without any. */
  get uses(): readonly ImagePromptUse[] | undefined {
    if (this.given.length === 0) return undefined;
    return this.given.map(({ adapter: { path, label, hash, encoderFolder }, scale, pictures }) => ({
      file: label ?? path,
      hash,
      ...(pictures && encoderFolder !== undefined && label === undefined && { encoder: encoderFolder }),
      scale,
      ...(pictures && {
        images: pictures.map((picture) => ({
          ...(picture.file !== undefined && { file: picture.file }),
          hash: this.#hashes.get(picture) ?? '',
        })),
      }),
    }));
  }
}

/** One for each adapter; a single one may stand alone. */
function perAdapter<T>(name: string, value: T | readonly T[], count: number, shared = false): readonly T[] {
  if (!Array.isArray(value)) {
    if (count === 1 || shared) return new Array<T>(count).fill(value as T);
    throw invalidArgument(name, `must be a list of ${count}, one for each IP-Adapter`);
  }
  if (value.length === count) return value;
  throw invalidArgument(name, `has ${value.length} entries for ${count} IP-Adapters`);
}

async function picturesOf(
  name: string,
  value: ImageSource | readonly ImageSource[],
  { encoder, name: adapter }: LoadedIpAdapter,
  signal: AbortSignal | undefined,
): Promise<Picture[]> {
  if (!encoder) {
    throw invalidArgument(
      name,
      `needs an image encoder, and the IP-Adapter ${adapter} was loaded without: give loadIpAdapter() its folder, imageEncoder`,
    );
  }
  const pictures: Picture[] = [];
  // One by one: they may be of different sizes.
  for (const source of [value].flat() as ImageSource[]) {
    const found = await loadImages(name, source, 3, signal);
    if (!('images' in found))
      throw invalidArgument(name, 'must be a picture; tensors are ipAdapterImageEmbeds');
    const file = isImagePath(source) ? source : undefined;
    pictures.push(...found.images.map((loaded) => ({ loaded, file })));
  }
  return pictures;
}

/** [pictures, width], or [pictures, tokens, width] for Plus; or such for the negative rows and the others, [2, ...]. */
async function checkEmbeds(
  name: string,
  embeds: Tensor,
  { readsTokens, imageWidth, encoder }: LoadedIpAdapter,
  signal: AbortSignal | undefined,
): Promise<Tensor> {
  const each = readsTokens ? [null, null, imageWidth] : [null, imageWidth];
  const isPair = embeds.shape.length === each.length + 1;
  await checkTensor(name, embeds, isPair ? [2, ...each] : each, signal);
  if (!isPair && readsTokens && !encoder)
    throw invalidArgument(
      name,
      `must be [2, pictures, tokens, ${imageWidth}], the negative first: without an image encoder it is not known`,
    );
  return embeds;
}

/** @param hashes gets those of the pictures, which are unpacked once. */
async function encodeOne(
  { adapter, scales, pictures, embeds, count }: Given,
  { batch, outputs, signal }: RunRows,
  hashes: Map<Picture, string>,
): Promise<ImagePrompt> {
  const { negative, positive } = pictures
    ? { negative: undefined, positive: await encodePictures(adapter, pictures, hashes, signal) }
    : givenEmbeds(adapter, embeds as Tensor);
  const project = async (image: Float32Array) =>
    finish(
      () =>
        adapter.native.project({
          image,
          batch: count,
          length: image.length / count / adapter.imageWidth,
        }),
      signal,
    );
  const tokens = {
    positive: await project(positive),
    negative: outputs.includes('negative')
      ? await project(negative ?? (await negativeOf(adapter, count, signal)))
      : new Float32Array(),
  };
  return {
    adapter: adapter.native,
    tokens: concat(outputs.flatMap((output) => new Array<Float32Array>(batch).fill(tokens[output]))),
    length: count * adapter.tokens,
    scales,
  };
}

async function encodePictures(
  { encoder, readsTokens }: LoadedIpAdapter,
  pictures: readonly Picture[],
  hashes: Map<Picture, string>,
  signal: AbortSignal | undefined,
): Promise<Float32Array> {
  if (!encoder) throw new Error('pictures were taken without an image encoder');
  const parts: Float32Array[] = [];
  for (const picture of pictures) {
    const image = await picture.loaded.read(signal);
    hashes.set(picture, await hashOf(image, signal));
    const pixels = await clipPixels(image, encoder.imageSize, signal);
    const { embeds, penultimate } = await encoder.encode(pixels, signal);
    parts.push(readsTokens ? penultimate : embeds);
  }
  return concat(parts);
}

/** A base adapter's negative is zeros; that of Plus what the encoder makes of a picture of zeros. */
async function negativeOf(
  { encoder, readsTokens, imageWidth }: LoadedIpAdapter,
  count: number,
  signal: AbortSignal | undefined,
): Promise<Float32Array> {
  if (!readsTokens) return new Float32Array(count * imageWidth);
  if (!encoder) throw new Error('there is no image encoder for the negative');
  const { imageSize: size } = encoder;
  const black = { data: new Float32Array(3 * size * size), shape: [1, 3, size, size] };
  const { penultimate } = await encoder.encode(black, signal);
  return concat(new Array<Float32Array>(count).fill(penultimate));
}

/** What the negative rows read, where it was given, and the others. */
function givenEmbeds({ readsTokens }: LoadedIpAdapter, { data, shape }: Tensor) {
  const isPair = shape.length === (readsTokens ? 4 : 3);
  if (!isPair) return { negative: undefined, positive: data };
  return { negative: data.subarray(0, data.length / 2), positive: data.subarray(data.length / 2) };
}
