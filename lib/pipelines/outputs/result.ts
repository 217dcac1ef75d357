import type { CallKind } from '../../deepcache/index.js';
import type { Image } from '../../images/image.js';
import type { LatentPreview } from '../../previews/latent-preview.js';
import type { NoiseLevel } from '../../schedulers/index.js';
import type { Tensor } from '../../tensor.js';
import { jsonSeeds, type Seed } from '../inputs/seeds.js';
import type { ComputedCalls } from '../loop/calls.js';

/** After a U-Net call, or what was done instead of one. */
export interface StepEvent {
  /** The sampler's step that the call belongs to, from 1; some samplers make several calls for a step. */
  step: number;
  /** The sampler's steps of the run. */
  steps: number;
  /** Calls done, from 1; predicted ones count. */
  call: number;
  /** Calls of the run. */
  calls: number;
  /** Whether this call computed the whole U-Net. */
  full: boolean;
  /** What the call was. */
  kind: CallKind;
  /** Of the call, from the scheduler. */
  timestep: number;
  /** How picture and noise are mixed in the latents that the call was given. */
  noiseLevel: NoiseLevel;
  /** Seconds that the call took. */
  seconds: number;
  /** What the picture is going to be: latents [n, c, h, w] and images of them, when `previewEvery` asked for them. */
  preview?: LatentPreview;
  /** The latents after the call [n, c, h, w], in model scale, when `latentsEvery` asked for them. */
  latents?: Tensor;
}

/** What a run took. */
export interface GenerateStats {
  /** Seconds of each phase. */
  times: { encode: number; prepare: number; denoise: number; decode: number; total: number };
  /** Seconds inside of the calls, by what they were; the rest of denoising is around. */
  callTimes: Record<CallKind, number>;
  /** Calls of the run, of all kinds: as many as it would have had U-Net calls without a cache. */
  calls: number;
  /** Calls that computed the whole U-Net. */
  fullCalls: number;
  /** Calls that took its deep part from the cache. */
  retrieveCalls: number;
  /** Calls whose output was predicted, without the U-Net. */
  predictedCalls: number;
  /** What full and retrieve calls computed, which guidance and T-GATE have a say in, too. */
  computed: readonly ComputedCalls[];
  /** How much slower denoising would have been with every call in full, from the mean of the full ones. */
  speedup: number;
  /** Plans that the run had to make; 0 when there was one like it before, whatever adapters were changed since. */
  plansMade: number;
  /** Bytes: weights of the models in compute type, arenas of their plans, buffers between them. */
  memory: { weights: number; arenas: number; buffers: number };
}

/** What a result holds: images, their floats in [0, 1], or what was sampled as it is. */
export type OutputKind = 'image' | 'float32' | 'latent';

/** What every result says about its run. */
export interface RunReport {
  /** Of each image what it was made with, as in its file; a video has one text. */
  settings: string[];
  /** One for the batch, or one for each image: numbers, and bigints where a number is not exact. */
  seeds: Seed[];
  /** What the run took. */
  stats: GenerateStats;
  /** What the run did otherwise than one might expect: text that was cut off, a preset not used. */
  notes: string[];
}

/** The result of a run with output 'image', the default. */
export interface ImageResult extends RunReport {
  /** One at least; of a video its frames. */
  images: [Image, ...Image[]];
  /** Never there; other results have one. */
  tensor?: undefined;
}

/** The result of a run with output 'float32' or 'latent'. */
export interface TensorResult extends RunReport {
  /** Always empty. */
  images: [];
  /** With 'float32': [n, 3, h, w] in [0, 1]. With 'latent': [n, c, h, w] in model scale. Of a video n are its frames. */
  tensor: Tensor;
}

/** What `generate` resolves with, by the option `output`. */
export type GenerateResult<Output extends OutputKind = OutputKind> = Output extends 'image'
  ? ImageResult
  : TensorResult;

/** @internal The result of a run: of images and a tensor it has what its output says. */
export function runResult(result: RunReport & { images: Image[]; tensor?: Tensor }): GenerateResult {
  return resultOf(result) as GenerateResult;
}

/** @internal A result that JSON.stringify takes: seeds beyond numbers are decimal texts there. */
export function resultOf<T extends { seeds: readonly Seed[] }>(result: T): T {
  const toJSON = () => ({ ...result, seeds: jsonSeeds(result.seeds) });
  return Object.defineProperty(result, 'toJSON', { value: toJSON });
}
