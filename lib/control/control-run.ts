import { invalidArgument } from '../errors.js';
import type { ImageInput } from '../images/input.js';
import type { MaskedArea } from '../inpaint/masked-area.js';
import { show } from '../messages.js';
import type { DenoiseRequest } from '../native/types.js';
import type { ControlMode, ControlPreprocess, PerControlNet } from '../options/spec/control.js';
import type { StepTable } from '../schedulers/table.js';
import type { ControlNets } from './control-nets.js';
import { imagesOf, pixelsOf, sizeOfFirst } from './control-pictures.js';
import type { ControlNetModel } from './controlnet-model.js';
import type { ResizeMode } from './preprocess/fit.js';
import type { Preprocessor } from './preprocess/preprocess.js';
import { type ControlWindow, withControl } from './schedule.js';

/** What a run's options say of ControlNets. */
export interface ControlOptions {
  readonly controlImage?: ImageInput | readonly ImageInput[] | undefined;
  readonly controlMode?: ControlMode | undefined;
  readonly controlPreprocess?: ControlPreprocess | undefined;
  readonly controlResize?: ResizeMode | undefined;
  readonly controlScale?: PerControlNet | undefined;
  readonly controlStart?: PerControlNet | undefined;
  readonly controlEnd?: PerControlNet | undefined;
  readonly guessMode?: boolean | undefined;
  readonly controlCache?: 'hold' | 'live' | undefined;
  /** Of the run's picture, and so of what ControlNets see; all of it by default. */
  readonly area?: MaskedArea | undefined;
  readonly width: number;
  readonly height: number;
  readonly batch: number;
  readonly signal?: AbortSignal | undefined;
}

/** Of a value for all networks, or one each, that of each. */
function each<T>(name: string, given: T | readonly T[], count: number, what: string): T[] {
  if (!Array.isArray(given)) return Array.from({ length: count }, () => given as T);
  if (given.length !== 1 && given.length !== count) {
    throw invalidArgument(
      name,
      `has ${given.length} ${what} for ${count} ControlNets; give one, or one each`,
    );
  }
  return Array.from({ length: count }, (_, i) => given[given.length === 1 ? 0 : i] as T);
}

/** Of each ControlNet how much it counts, and when. */
export function windowsOf(options: ControlOptions, count: number): ControlWindow[] {
  const of = (name: 'controlScale' | 'controlStart' | 'controlEnd', fallback: number) =>
    each<number>(name, options[name] ?? fallback, count, 'numbers');
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

/**
 * Whether the ControlNets of a run guess what their pictures show. Where the first of them gives means (the shuffle model) all
 * of them do, as in diffusers.
 */
export function guesses(
  nets: ControlNets | undefined,
  { controlImage, guessMode = false }: Pick<ControlOptions, 'controlImage' | 'guessMode'>,
): boolean {
  return guessMode || (controlImage !== undefined && nets?.models[0]?.poolsConditions === true);
}

/** The size of the first picture, cut down to whole latents; undefined for a run without one. */
export async function controlSize(
  { controlImage, signal }: Pick<ControlOptions, 'controlImage' | 'signal'>,
  scale: number,
): Promise<{ width: number; height: number } | undefined> {
  return sizeOfFirst('controlImage', controlImage, scale, { signal });
}

/** What ControlNets add to a run: what the loop gets, and its table; undefined for a run without them. */
export async function prepareControl(
  nets: ControlNets | undefined,
  options: ControlOptions,
  table: StepTable,
): Promise<(Pick<DenoiseRequest, 'controls'> & { table: StepTable }) | undefined> {
  const { controlImage, controlCache = 'hold' } = options;
  if (controlImage === undefined) return undefined;
  const models = nets?.models ?? [];
  if (models.length === 0) {
    throw invalidArgument(
      'controlImage',
      'needs a ControlNet: load one with the option controlNet, or loadControlNet()',
    );
  }
  const name = 'controlImage';
  const inputs = imagesOf(name, controlImage, models.length, "what each of the pipeline's ControlNets sees");
  const modes = modesOf(options.controlMode, models);
  const { controlPreprocess = 'none', controlResize: resize = 'stretch' } = options;
  const changes = each('controlPreprocess', controlPreprocess, models.length, 'values');
  const made = withControl(table, windowsOf(options, models.length), controlCache);
  const guess = guesses(nets, options);
  const controls: NonNullable<DenoiseRequest['controls']>[number][] = [];
  for (const [i, model] of models.entries()) {
    const kinds = modes[i] as readonly number[];
    const images: Float32Array[] = [];
    const shown = imagesOf(name, inputs[i] as ImageInput, kinds.length, 'a picture of each controlMode');
    for (const picture of shown) {
      const preprocess = changes[i] as Preprocessor | 'none';
      images.push(await pixelsOf(picture, { ...options, preprocess, resize, isBgr: model.isBgr }));
    }
    const scales = made.scales[i] as number[];
    controls.push({ network: model.native, images, ...(model.kinds > 0 && { kinds }), scales, guess });
  }
  return { controls, table: made.table };
}

/** The kinds of pictures of each network; none for one that takes its own. */
function modesOf(given: ControlMode | undefined, models: readonly ControlNetModel[]): (readonly number[])[] {
  const perNetwork = models.length === 1 ? [given ?? []] : (given ?? models.map(() => []));
  if (!Array.isArray(perNetwork) || perNetwork.length !== models.length) {
    throw invalidArgument('controlMode', `must be a list of ${models.length}, one for each ControlNet`);
  }
  return models.map(({ kinds }, i) => {
    const modes = [perNetwork[i] as number | readonly number[]].flat();
    if (kinds === 0 && modes.length > 0) {
      throw invalidArgument('controlMode', 'is for a ControlNet-Union: this one takes one kind of pictures');
    }
    const fits = modes.every((mode) => mode < kinds) && new Set(modes).size === modes.length;
    if (kinds > 0 && (modes.length === 0 || !fits)) {
      throw invalidArgument(
        'controlMode',
        `must say the kind of each picture, each once, from 0 to ${kinds - 1}, got ${show(modes)}`,
      );
    }
    return modes;
  });
}

/** What a picture's settings say of its ControlNets. */
export function controlFields(
  nets: ControlNets | undefined,
  options: ControlOptions,
): Record<string, unknown> {
  if (options.controlImage === undefined || !nets) return {};
  const { labels } = nets;
  const uses = windowsOf(options, labels.length).map((window, i) => ({ file: labels[i], ...window }));
  return {
    ControlNets: JSON.stringify(uses),
    'Control mode': options.controlMode !== undefined && JSON.stringify(options.controlMode),
    'Control preprocess':
      options.controlPreprocess !== undefined && [options.controlPreprocess].flat().join(' '),
    'Control resize': options.controlResize,
    'Guess mode': options.guessMode,
    'Control cache': options.controlCache === 'live' && 'live',
  };
}
