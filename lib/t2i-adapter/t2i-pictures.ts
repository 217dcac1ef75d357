import { imagesOf, requirePerPrompt, sizeOfFirst, spread } from '../control/control-pictures.js';
import { invalidArgument } from '../errors.js';
import { type ImageInput, loadImages, toLuma, toRgb } from '../images/input.js';
import { finish } from '../native/device.js';
import type { ControlRequest } from '../native/types.js';
import type { OptionsOf } from '../options/spec/index.js';
import type { CompiledSchedule } from '../schedulers/index.js';
import { forEachIndex, inSlices } from '../slices.js';
import type { Tensor } from '../tensor.js';
import type { LoadedT2IAdapter, T2IAdapters } from './t2i-adapters.js';

/** The options of a run that are about T2I-Adapters. */
export type T2IOptions = Pick<
  OptionsOf<'text2img'>,
  't2iAdapterImage' | 't2iAdapterScale' | 't2iAdapterFactor'
>;

interface RunSize {
  readonly width: number;
  readonly height: number;
  /** Images. */
  readonly batch: number;
  readonly signal?: AbortSignal | undefined;
}

/** What one adapter sees. */
interface Given {
  readonly adapter: LoadedT2IAdapter;
  readonly scale: number;
  /** [n, channels, height, width] */
  readonly pixels: Tensor;
}

/** The size of the first picture, cut down to what all adapters take; undefined for a run without one. */
export async function t2iSize(
  { t2iAdapterImage: given, signal }: T2IOptions & { readonly signal?: AbortSignal | undefined },
  scale: number,
): Promise<{ width: number; height: number } | undefined> {
  const channels = (given as Partial<Tensor> | undefined)?.shape?.[1];
  // SDXL's adapters take two latents a side together.
  return sizeOfFirst('t2iAdapterImage', given, 2 * scale, { channels, signal });
}

/** The pictures of a run for every T2I-Adapter that is loaded. */
export class T2IPictures {
  private constructor(
    private readonly given: readonly Given[],
    private readonly factor: number,
  ) {}

  /** Throws what is wrong with the options, and unpacks pictures. */
  static async read(
    adapters: T2IAdapters | undefined,
    options: T2IOptions,
    { width, height, batch, signal }: RunSize,
  ): Promise<T2IPictures> {
    const { t2iAdapterImage, t2iAdapterScale = 1, t2iAdapterFactor = 1 } = options;
    if (t2iAdapterImage === undefined) return new T2IPictures([], 1);
    const loaded = adapters?.loaded ?? [];
    if (loaded.length === 0) {
      throw invalidArgument(
        't2iAdapterImage',
        'needs a T2I-Adapter: load one with the option t2iAdapter, or loadT2IAdapter()',
      );
    }
    const what = "what each of the pipeline's T2I-Adapters sees";
    const inputs = imagesOf('t2iAdapterImage', t2iAdapterImage, loaded.length, what);
    const scales = scalesOf(t2iAdapterScale, loaded.length);
    for (const { name, native } of loaded) requireMultiple(name, native.multiple, { width, height });
    const given: Given[] = [];
    for (const [i, adapter] of loaded.entries()) {
      const pixels = await pixelsOf(adapter, inputs[i] as ImageInput, { width, height, batch, signal });
      given.push({ adapter, scale: scales[i] as number, pixels });
    }
    return new T2IPictures(given, t2iAdapterFactor);
  }

  /** How many features the U-Net gets. */
  get features(): number {
    return this.given[0]?.adapter.native.features ?? 0;
  }

  /** What the U-Net gets, of each level the sum over the adapters; as diffusers' MultiAdapter. */
  async encode(
    { compiled: { rows, steps } }: { compiled: Pick<CompiledSchedule, 'rows' | 'steps'> },
    { batch, signal }: Pick<RunSize, 'batch' | 'signal'>,
  ): Promise<Pick<ControlRequest, 'blockFeatures'>> {
    if (this.given.length === 0) return {};
    const levels: Float32Array[] = [];
    for (const one of this.given) {
      const features = await encodeAll(one, batch, signal);
      for (const [level, values] of features.entries()) {
        const sum = levels[level] ?? new Float32Array(values.length);
        const add = (i: number) => {
          sum[i] = (sum[i] as number) + one.scale * (values[i] as number);
        };
        await inSlices(forEachIndex(values.length, add), signal);
        levels[level] = sum;
      }
    }
    // diffusers counts steps, of which some samplers make several calls.
    const last = this.factor === 1 ? rows.length : Math.trunc((steps.at(-1) as number) * this.factor);
    return { blockFeatures: { levels, scales: rows.map((_, i) => (i < last ? 1 : 0)) } };
  }
}

/** How much each of them counts. */
export function scalesOf(given: number | readonly number[], count: number): readonly number[] {
  if (typeof given === 'number') return new Array<number>(count).fill(given);
  if (given.length === count) return given;
  throw invalidArgument(
    't2iAdapterScale',
    `has ${given.length} numbers for ${count} T2I-Adapters; give one, or one each`,
  );
}

function requireMultiple(name: string, multiple: number, size: { width: number; height: number }): void {
  for (const side of ['width', 'height'] as const) {
    if (size[side] % multiple === 0) continue;
    throw invalidArgument(
      side,
      `must be a multiple of ${multiple} for the T2I-Adapter ${name}, got ${size[side]}`,
    );
  }
}

/** One picture for all images, or one for each prompt. */
async function pixelsOf(
  { name, native: { inChannels } }: LoadedT2IAdapter,
  input: ImageInput,
  { width, height, batch, signal }: RunSize,
): Promise<Tensor> {
  const option = 't2iAdapterImage';
  const loaded = await loadImages(option, input, inChannels, signal);
  requirePerPrompt(option, loaded, batch);
  if ('images' in loaded && inChannels !== 1 && inChannels !== 3) {
    throw invalidArgument(
      option,
      `must be a tensor of ${inChannels} channels, which the adapter ${name} takes`,
    );
  }
  const unpack = inChannels === 1 ? toLuma : toRgb;
  return unpack(option, loaded, width, height, signal);
}

/** Features of one picture, or of all images; one picture at a time, to save memory. */
async function encodeAll(
  { adapter: { native }, pixels: { data, shape } }: Given,
  batch: number,
  signal: AbortSignal | undefined,
): Promise<Float32Array[]> {
  const [count = 1, , height = 0, width = 0] = shape;
  const each = data.length / count;
  const pictures: Float32Array[][] = [];
  for (let i = 0; i < count; i++) {
    const image = data.slice(i * each, (i + 1) * each);
    pictures.push(await finish(() => native.encode({ image, batch: 1, height, width }), signal));
  }
  if (count === 1) return pictures[0] as Float32Array[];
  return (pictures[0] as Float32Array[]).map((_, level) =>
    spread(
      pictures.map((features) => features[level] as Float32Array),
      batch,
    ),
  );
}
