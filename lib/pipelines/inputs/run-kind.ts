import type { AutoencoderKL } from '../../models/autoencoder-kl.js';
import type { UNet2DConditionModel } from '../../models/unet.js';
import type { CompiledSchedule } from '../../schedulers/index.js';
import type { Tensor } from '../../tensor.js';
import type { SettingsFields } from '../outputs/settings.js';
import type { NoiseSource } from './noise.js';
import type { GenerateOptions, ResolvedOptions } from './options.js';

/** What a run starts from is made with this. */
export interface RunContext {
  unet: UNet2DConditionModel;
  vae: AutoencoderKL;
  options: ResolvedOptions;
  compiled: CompiledSchedule;
  noise: NoiseSource;
  /** [images, channels, h, w] */
  latent: readonly [number, number, number, number];
  guided: boolean;
  /** Whether it goes on where another run ended (`denoisingStart`). */
  continues: boolean;
}

/** The latents that a run starts from, and what else accompanies its loop. NCHW. */
export interface RunStart {
  latents: Float32Array;
  /** U-Net input channels that stay the same, [halves * images, in - channels, h, w]. */
  constant?: Float32Array;
  /** Kept parts of the picture: x = mask * x + (1 - mask) * (init, noised with initNoise) after every step. */
  blend?: { mask: Float32Array; init: Float32Array; initNoise: Float32Array };
}

/** What was loaded, unpacked at the size of the run. */
export interface PreparedRun {
  /** The state before the first U-Net call. Draws from the generators in diffusers' order. */
  start(context: RunContext): Promise<RunStart>;
  /** Changes the pixels of the result [n, 3, h, w], which are from 0 to 1. */
  finish?(pixels: Tensor): Promise<void>;
}

/** Which part of the schedule a run takes; all of it by default. */
export interface RunSpan {
  /** Only the last so many steps (image to image). */
  stepsToRun?: number | undefined;
  /** From this fraction of the training schedule on, or up to it (hand-over between a model and its refiner). */
  denoisingStart?: number | undefined;
  denoisingEnd?: number | undefined;
}

/**
 * What a run is made from: text alone, a picture, or a picture and a mask. The same for all models of latents.
 *
 * @typeParam Inputs what is looked at before a run, such as the headers of pictures.
 */
export interface RunKind<Options extends GenerateOptions, Inputs> {
  /** Whether it gives an inpainting U-Net its further inputs, the mask and the masked picture. */
  readonly takesMask: boolean;
  /** Whether the run uses the autoencoder's encoder. */
  readonly encodesImages: boolean;
  /** Finds what options point to. */
  load(options: Options): Promise<Inputs>;
  /** Pixels of the result when options name none; undefined: the model's own size. */
  size(inputs: Inputs, scale: number): { width: number; height: number } | undefined;
  /** Throws what is wrong with the options of this kind. */
  span(options: Options, steps: number): RunSpan;
  /** What settings in the picture say of options of this kind. */
  settings(options: Options, span: RunSpan): SettingsFields;
  /** Bytes that preparing the run and its result take. */
  bytes(inputs: Inputs, options: ResolvedOptions): number;
  /** Unpacks what was loaded. `note` receives what the user should know about it. */
  prepare(
    inputs: Inputs,
    given: Options,
    options: ResolvedOptions,
    note: (message: string) => void,
  ): Promise<PreparedRun>;
}
