import type { StepEvent } from '../../pipelines/outputs/result.js';
import type { SamplerOptions } from '../../schedulers/run-options.js';
import { ALL, LATENT, PROMPTED, SAMPLING, TEXT } from '../families.js';
import * as json from '../json.js';
import * as kinds from '../kinds.js';
import { option } from '../option.js';

/** Guidance doubles it: the U-Net takes up to 1024 samples. */
export const MAX_IMAGES = 512;

const samplerFields: { readonly [Name in keyof SamplerOptions]-?: json.JsonForm } = {
  ...{ sChurn: json.real(0), sTmin: json.real(0), sTmax: json.real(0), sNoise: json.real(0) },
  ...{ useClippedModelOutput: json.flag, order: json.whole(1, 8), strength: json.real(0, 1) },
  ...{ originalInferenceSteps: json.whole(1, 100_000), mu: json.real() },
  ...{ jumpLength: json.whole(1, 100_000), jumpNSample: json.whole(1, 100_000) },
};
const samplerForm = json.object(samplerFields);

/** How a run is made, whatever it shows. */
export const RUN_OPTIONS = {
  /** Steps of the sampler, 50 by default. Some samplers call the U-Net more often than that. */
  steps: option({
    kind: kinds.count(100_000),
    families: ALL,
    help: 'steps of the sampler',
    fallback: "the model's, else 50",
    flag: { spelling: '--steps <n>', group: 'how' },
  }),
  /** diffusers' name of `steps`. */
  numInferenceSteps: option({
    kind: kinds.count(100_000),
    families: ALL,
    help: 'same as steps',
    aliasOf: 'steps',
    flag: { spelling: '--num-inference-steps <n>', group: 'how', help: 'same as --steps' },
  }),
  /**
   * Classifier-free guidance, 7.5 by default (SDXL 5, class-conditional models 1.5); 1 turns it off. 1 and below do so
   * for models of text.
   */
  guidanceScale: option({
    kind: kinds.real(0, 1000),
    families: [...TEXT, 'ldm'],
    help: 'how closely to follow the prompt; 1 is off',
    fallback: "the model's, else 7.5",
    flag: { spelling: '-g, --guidance-scale <x>', group: 'how' },
  }),
  /** Share of the guided output that is rescaled to the unguided one's deviation, 0 to 1. Default 0. */
  guidanceRescale: option({
    kind: kinds.real(0, 1),
    families: LATENT,
    help: 'against overexposure by strong guidance: share of the output that is rescaled',
    fallback: '0',
    flag: { spelling: '--guidance-rescale <x>', group: 'how' },
  }),
  /**
   * One generator for the whole batch, as diffusers' `generator`. Default, and -1: a random one, which the result holds.
   */
  seed: option({
    kind: kinds.seed,
    families: ALL,
    help: 'the same seed makes the same picture; -1 picks one at random',
    fallback: 'random',
    flag: { spelling: '-s, --seed <n>', group: 'make' },
  }),
  /** One generator for each image. */
  seeds: option({
    kind: kinds.seeds,
    families: [...PROMPTED, ...SAMPLING],
    help: 'a seed for each image',
    excludes: ['seed'],
    flag: { spelling: '--seeds <n,n,...>', group: 'make' },
  }),
  /** DeepCache; false (default) computes every step in full. */
  cache: option({
    kind: kinds.cache,
    families: ALL,
    help: 'DeepCache',
    fallback: 'false',
    flag: { spelling: '-c, --cache <settings>', group: 'how' },
  }),
  /** Another sampler for this run: a name, a configuration or a scheduler. */
  scheduler: option({
    kind: kinds.scheduler,
    families: [...ALL, 'load'],
    help: 'another sampler',
    fallback: "the model's",
    flag: { spelling: '--scheduler <name>', group: 'how' },
  }),
  /**
   * What the sampler of the run takes besides: what diffusers' `step` and `set_timesteps` of its class do. Euler:
   * sChurn, sTmin, sTmax, sNoise; DDIM: useClippedModelOutput; LMS: order; LCM and TCD: originalInferenceSteps, strength;
   * DPM++, UniPC, DEIS and FlowMatchEuler with use_dynamic_shifting: mu; RePaint: jumpLength, jumpNSample.
   */
  schedulerOptions: option({
    kind: kinds.settings<SamplerOptions>('object', samplerForm),
    families: ALL,
    help: "the sampler's own: sChurn, sTmin, sTmax, sNoise (Euler), useClippedModelOutput (DDIM), order (LMS), originalInferenceSteps, strength (LCM, TCD), mu (flows), jumpLength, jumpNSample (RePaint)",
    flag: { spelling: '--scheduler-options <name=x,...>', group: 'how' },
  }),
  /** Timesteps of your own, from high to low, for the samplers that take them; 'AYS' are the ten of Align Your Steps. */
  timesteps: option({
    kind: kinds.ownSteps,
    families: PROMPTED,
    help: 'timesteps of your own, from high to low, for samplers that take them; AYS: ten optimised ones',
    excludes: ['sigmas'],
    flag: { spelling: '--timesteps <t,t,...>', group: 'how' },
  }),
  /** Noise levels of your own, from high to low, for the samplers that take them. */
  sigmas: option({
    kind: kinds.ownSteps,
    families: [...PROMPTED, 'svd'],
    help: 'the same, as sigmas',
    flag: { spelling: '--sigmas <s,s,...>', group: 'how' },
  }),
  /** For samplers of the DDIM kind: 0 (default) is deterministic, 1 as noisy as DDPM. */
  eta: option({
    kind: kinds.real(0, 1),
    families: [...TEXT, ...SAMPLING],
    help: 'randomness of DDIM, TCD and RePaint: 1 is as noisy as DDPM',
    fallback: '0',
    flag: { spelling: '--eta <x>', group: 'how' },
  }),
  /** What the result holds: images (default), floats [n, 3, h, w] in [0, 1], or what was sampled as it is. */
  output: option({
    kind: kinds.choice(['image', 'float32', 'latent']),
    families: ALL,
    help: 'what the result holds: pictures, a tensor in [0, 1], or latents',
    fallback: "'image'",
    local: 'answers are pictures',
  }),
  /**
   * Called after every U-Net call. What it throws ends the run, and so does the rejection of a promise that it returns; the run goes
   * on meanwhile, and ends when all of them have settled. One that never settles keeps the run waiting, and the calls
   * behind it, until `signal` aborts: give one with a time limit (`AbortSignal.timeout`) where that may happen.
   */
  onStep: option({
    kind: kinds.callback<(event: StepEvent) => unknown>(),
    families: ALL,
    help: 'called after every U-Net call',
    local: 'a job has events instead',
  }),
  /** Every how many U-Net calls `onStep` receives a preview. Default: never. */
  previewEvery: option({
    kind: kinds.whole(1, 100_000, 'count'),
    families: PROMPTED,
    help: 'make a preview every so many U-Net calls (`await event.preview.toImage()`)',
    fallback: 'never',
    flag: {
      spelling: '--preview-every <n>',
      group: 'output',
      help: 'show a preview every so many steps, see below',
    },
  }),
  /** Every how many U-Net calls `onStep` receives the sample so far as they are. Default: never. */
  latentsEvery: option({
    kind: kinds.count(100_000),
    families: ALL,
    help: 'every how many U-Net calls `onStep` receives the sample so far',
    local: 'latents have no form in JSON',
    fallback: 'never',
  }),
  /** Stops the run; the promise rejects with the signal's reason. */
  signal: option({
    kind: kinds.signal,
    families: [...ALL, 'load'],
    help: 'aborts the run',
    local: 'a job is cancelled instead',
  }),
};
