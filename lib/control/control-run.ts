import { invalidArgument } from '../errors.js';
import { countOf, type ImageInput, loadImages, sizeOf, toRgb } from '../images/input.js';
import type { DenoiseRequest } from '../native/types.js';
import type { PerControlNet } from '../options/spec/control.js';
import type { StepTable } from '../schedulers/table.js';
import { concat } from '../tensor.js';
import type { ControlNets } from './control-nets.js';
import { type ControlWindow, withControl } from './schedule.js';

/** What a run's options say of ControlNets. */
export interface ControlOptions {
  readonly controlImage?: ImageInput | readonly ImageInput[] | undefined;
  readonly controlScale?: PerControlNet | undefined;
  readonly controlStart?: PerControlNet | undefined;
  readonly controlEnd?: PerControlNet | undefined;
  readonly guessMode?: boolean | undefined;
  readonly controlCache?: 'hold' | 'live' | undefined;
  readonly width: number;
  readonly height: number;
  readonly batch: number;
  readonly signal?: AbortSignal | undefined;
}

/** Of each ControlNet how much it counts, and when. */
export function windowsOf(options: ControlOptions, count: number): ControlWindow[] {
  const of = (name: 'controlScale' | 'controlStart' | 'controlEnd', fallback: number) => {
    const given = options[name] ?? fallback;
    if (!Array.isArray(given)) return Array.from({ length: count }, () => given as number);
    if (given.length !== 1 && given.length !== count) {
      throw invalidArgument(
        name,
        `has ${given.length} numbers for ${count} ControlNets; give one, or one each`,
      );
    }
    return Array.from({ length: count }, (_, i) => given[given.length === 1 ? 0 : i] as number);
  };
  const scales = of('controlScale', 1);
  const starts = of('controlStart', 0);
  const ends = of('controlEnd', 1);
  return scales.map((scale, i) => {
    const [start, end] = [starts[i] as number, ends[i] as number];
    if (start >= end)
      throw invalidArgument('controlStart', `must be below controlEnd (${end}), got ${start}`);
    return { scale, start, end };
  });
}

/** The size of the first picture, cut down to whole latents; undefined for a run without one. */
export async function controlSize(
  { controlImage, signal }: Pick<ControlOptions, 'controlImage' | 'signal'>,
  scale: number,
): Promise<{ width: number; height: number } | undefined> {
  return sizeOfFirst('controlImage', controlImage, scale, { signal });
}

/** The size of the first of an option's pictures, cut down to a multiple; undefined where there are none. */
export async function sizeOfFirst(
  name: string,
  pictures: ImageInput | readonly ImageInput[] | undefined,
  multiple: number,
  { channels = 3, signal }: { channels?: number | undefined; signal?: AbortSignal | undefined },
): Promise<{ width: number; height: number } | undefined> {
  if (pictures === undefined) return undefined;
  let first: unknown = pictures;
  while (Array.isArray(first)) first = first[0];
  const { width, height } = sizeOf(await loadImages(name, first as ImageInput, channels, signal));
  if (width < multiple || height < multiple) {
    throw invalidArgument(name, `is ${width}x${height}; the smallest picture is ${multiple}x${multiple}`);
  }
  return { width: width - (width % multiple), height: height - (height % multiple) };
}

/** What ControlNets add to a run: what the loop gets, and its table; undefined for a run without them. */
export async function prepareControl(
  nets: ControlNets | undefined,
  options: ControlOptions,
  table: StepTable,
): Promise<(Pick<DenoiseRequest, 'controls'> & { table: StepTable }) | undefined> {
  const { controlImage, controlCache = 'hold', guessMode: guess = false } = options;
  if (controlImage === undefined) return undefined;
  const models = nets?.models ?? [];
  if (models.length === 0) {
    throw invalidArgument(
      'controlImage',
      'needs a ControlNet: load one with the option controlNet, or loadControlNet()',
    );
  }
  const inputs = imagesOf(controlImage, models.length);
  const made = withControl(table, windowsOf(options, models.length), controlCache);
  const controls: NonNullable<DenoiseRequest['controls']>[number][] = [];
  for (const [i, model] of models.entries()) {
    const image = await pixelsOf(inputs[i] as ImageInput, options);
    controls.push({ network: model.native, image, scales: made.scales[i] as number[], guess });
  }
  return { controls, table: made.table };
}

/** What each of them sees. */
function imagesOf(given: ImageInput | readonly ImageInput[], count: number): readonly ImageInput[] {
  if (count === 1) return [given as ImageInput];
  if (Array.isArray(given) && given.length === count) return given;
  throw invalidArgument(
    'controlImage',
    `must be a list of ${count}, what each of the pipeline's ControlNets sees`,
  );
}

/** One picture for all images, or one for each prompt: then one for each image. */
async function pixelsOf(
  input: ImageInput,
  { width, height, batch, signal }: ControlOptions,
): Promise<Float32Array> {
  const loaded = await loadImages('controlImage', input, 3, signal);
  const count = countOf(loaded);
  if (batch % count !== 0) {
    throw invalidArgument(
      'controlImage',
      `has ${count} pictures for ${batch} images; give one, or one for each prompt`,
    );
  }
  const { data } = await toRgb('controlImage', loaded, width, height, signal);
  if (count === 1 || count === batch) return data;
  const each = data.length / count;
  return spread(
    Array.from({ length: count }, (_, i) => data.subarray(i * each, (i + 1) * each)),
    batch,
  );
}

/** For each image what belongs to its prompt, of one for each prompt. */
export function spread(parts: readonly Float32Array[], batch: number): Float32Array {
  return concat(
    Array.from({ length: batch }, (_, i) => parts[Math.floor((i * parts.length) / batch)] as Float32Array),
  );
}

/** What a picture's settings say of its ControlNets. */
export function controlFields(
  nets: ControlNets | undefined,
  options: ControlOptions,
): Record<string, unknown> {
  if (options.controlImage === undefined || !nets) return {};
  const { list } = nets;
  const uses = windowsOf(options, list.length).map((window, i) => ({ file: list[i]?.file, ...window }));
  return {
    ControlNets: JSON.stringify(uses),
    'Guess mode': options.guessMode,
    'Control cache': options.controlCache === 'live' && 'live',
  };
}
