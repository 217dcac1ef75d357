import type { MaskedArea } from '../../inpaint/masked-area.js';
import type { AutoencoderKL } from '../../models/autoencoder-kl.js';
import type { UNetModel } from '../../models/unet.js';
import type { CompiledSchedule, Scheduler } from '../../schedulers/index.js';
import type { Tensor } from '../../tensor.js';
import type { ModelFacts } from '../loading/facts.js';
import type { SuppliedInputs } from '../loading/unet-inputs.js';
import type { NoiseSource } from './noise.js';
import type { RunSpan, Size, TextRunOptions } from './options.js';

/** What a run starts from is made with this. */
export interface StartContext {
  unet: UNetModel;
  vae: AutoencoderKL;
  options: TextRunOptions;
  compiled: CompiledSchedule;
  noise: NoiseSource;
  /** Upscalers: what noises the picture that they enlarge. */
  lowResScheduler?: Scheduler | undefined;
}

/** The latents that a run starts from, and what else accompanies its loop. NCHW. */
export interface RunStart {
  latents: Float32Array;
  /** U-Net input channels that stay the same, [halves * images, in - channels, h, w]. */
  constant?: Float32Array;
  /** Class labels of U-Nets that have them, [halves * images]. */
  classLabels?: Float32Array;
  /** Kept parts of the picture: x = mask * x + (1 - mask) * (init, noised with initNoise) after every step. */
  blend?: { mask: Float32Array; init: Float32Array; initNoise: Float32Array };
}

/** What was loaded, unpacked at the size of the run. */
export interface PreparedRun {
  /** The state before the first U-Net call. Draws from the generators in diffusers' order. */
  start(context: StartContext): Promise<RunStart>;
  /** What becomes of the pixels [n, 3, h, w] that were decoded, from 0 to 1. */
  finish?(pixels: Tensor): Promise<Tensor>;
  /** The part of the picture that the run shows, where that is not all of it. */
  readonly area?: MaskedArea;
}

/**
 * What a run is made from: text alone, a picture, or a picture and a mask. The same for all models of latents.
 *
 * @typeParam Inputs what is looked at before a run, such as the headers of pictures.
 */
export interface RunKind<Options, Inputs> {
  /** What it can give a U-Net besides a text and a time. */
  readonly gives: SuppliedInputs;
  /** Channels of a tensor that stands for the picture; three by default. */
  readonly imageChannels?: readonly number[];
  /** Whether the run uses the autoencoder's encoder. */
  readonly encodesImages: boolean;
  /** Whether a picture gives the run its size. */
  readonly isSizedByImage: boolean;
  /** Finds what options point to. */
  load(options: Options): Promise<Inputs>;
  /** Pixels of the result when options name none; undefined: the model's own size. */
  size(inputs: Inputs, facts: ModelFacts): Size | undefined;
  /** Throws what is wrong with options of this kind beside the model. */
  check?(options: TextRunOptions, facts: ModelFacts): void;
  /** Which part of the schedule is run. Throws what is wrong with the options of it. */
  span(options: { readonly strength?: number }, steps: number): RunSpan;
  /** Guidance of a kind's own; that of texts by default. */
  guide?(options: TextRunOptions): Pick<TextRunOptions, 'guided' | 'guidanceThird'>;
  /** What settings in the picture say of options of this kind. */
  settings(options: TextRunOptions): Readonly<Record<string, unknown>>;
  /** Bytes that preparing the run and its result take. */
  bytes(inputs: Inputs, options: TextRunOptions): number;
  /** Unpacks what was loaded. `note` receives what the user should know about it. */
  prepare(inputs: Inputs, options: TextRunOptions, note: (message: string) => void): Promise<PreparedRun>;
}
