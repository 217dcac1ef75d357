import { DeepCacheError, invalidArgument } from '../errors.js';
import { show } from '../messages.js';
import { assign, type Linear } from './linear.js';
import type { Assignment, PerSample, StepRow } from './table.js';

/** A row as a scheduler makes it; the caller adds the program and the guidance, and most often the blend. */
export interface CompiledRow extends Omit<StepRow, 'program' | 'predict' | 'skip' | 'guidance'> {
  /** Rows behind it that stand for no call. */
  after?: readonly CompiledRow[];
}

/** Rows, each with those behind it. */
export const allRows = (rows: readonly CompiledRow[]): Omit<CompiledRow, 'after'>[] =>
  rows.flatMap(({ after = [], ...row }) => [row, ...after]);

/** What a run is compiled with. Names are diffusers', in camelCase. */
export interface CompileOptions {
  /** Number of inference steps (num_inference_steps). May be left out with `timesteps` or `sigmas`. */
  steps?: number;
  /** Timesteps of your own, from high to low, instead of the spacing of the configuration. */
  timesteps?: readonly number[];
  /** Noise levels of your own, from high to low and without a final zero, for the samplers that work on sigmas. */
  sigmas?: readonly number[];
  /** Image to image: the first U-Net call that is run, an index into the whole list of calls (start * order). */
  strengthStart?: number;
  /** DDIM: 0 is deterministic, 1 as noisy as DDPM. The other schedulers ignore it. */
  eta?: number;
  /** DDIM: recompute the noise from the clipped x0. */
  useClippedModelOutput?: boolean;
  /** Euler: extra noise per step (Karras et al. 2022, algorithm 2), with the range of sigmas it applies to. */
  sChurn?: number;
  /** Euler: churns at sigmas from this one on. Default 0. */
  sTmin?: number;
  /** Euler: churns at sigmas up to this one. Default: all. */
  sTmax?: number;
  /** Euler: deviation of the noise that is added where it churns. Default 1. */
  sNoise?: number;
  /** LMS: how many past derivatives are used, 1 to 8; 4 by default. */
  order?: number;
  /** LCM, TCD: overrides original_inference_steps of the configuration. */
  originalInferenceSteps?: number;
  /** LCM, TCD: the share of the steps that the model was distilled on, from the lowest, 0 to 1. Default 1. */
  strength?: number;
  /** With use_dynamic_shifting: how far a flow's noise levels are shifted, by the size of the picture. */
  mu?: number;
  /** RePaint: how many steps its jumps go back, 10 by default. */
  jumpLength?: number;
  /** RePaint: how often what lies between two jumps is denoised, 10 by default; 1: no jumps. */
  jumpNSample?: number;
}

/** How diffusers' add_noise mixes at one timestep: sqrtAlpha * x0 + sigma * noise. */
export interface NoiseLevel {
  /** Share of the clean latents. */
  sqrtAlpha: number;
  /** Deviation of the noise. */
  sigma: number;
}

/** Draws that are not independent: each is a Brownian motion's way between two times, of unit variance. */
export interface MotionDraws {
  /** The motion's start. */
  low: number;
  /** Its end. */
  high: number;
  /** Its seed; null for the run's. */
  seed: number | null;
  /** From where to where the motion goes for each draw. */
  ways: [from: number, to: number][];
}

/** A run as rows, before a cache chooses their programs. */
export interface CompiledSchedule {
  /** One per U-Net call. */
  rows: CompiledRow[];
  /** The sampler's step that each U-Net call belongs to, from 1: some make several calls for a step. */
  steps: number[];
  /** The timestep of each U-Net call. */
  timesteps: number[];
  /** diffusers' scheduler.timesteps: also holds the calls that strengthStart leaves out, and turns without a call. */
  schedulerTimesteps: number[];
  /** diffusers' scheduler.sigmas, for the schedulers that have them. */
  sigmas?: number[];
  /** The first latent is noise times this. */
  initNoiseSigma: number;
  /** How many noise tensors diffusers draws from the generator in these calls, in order. Rows name them by index. */
  noiseDraws: number;
  /** For each draw, whether a row uses it. The others are drawn and thrown away, to keep the generator in step. */
  noiseUsed: boolean[];
  /** With it the draws are a Brownian motion's, and none is taken from the generator. */
  motion?: MotionDraws;
  /** Picture and noise in the latents before each call. */
  noiseLevels: NoiseLevel[];
  /**
   * What diffusers' add_noise mixes for each call: inpainting blends with the level of the next call. Inside of a step of
   * several calls it is the step's end, not where the latents are.
   */
  addNoiseLevels: NoiseLevel[];
  /** With strengthStart: how to noise the initial latent. */
  startAddNoise?: NoiseLevel;
}

/** Collects the rows of a run. */
export class RowBuilder {
  readonly rows: CompiledRow[] = [];
  #draws = 0;
  #motion: MotionDraws | undefined;

  get draws(): number {
    return this.#draws;
  }

  /** The next noise tensor that the sampler takes from the generator. */
  draw(): number {
    return this.#draws++;
  }

  /** What {@link drawBetween} draws from. */
  get motion(): MotionDraws | undefined {
    return this.#motion;
  }

  /** Lets all draws be those of a Brownian motion. */
  walk(motion: Omit<MotionDraws, 'ways'>): void {
    this.#motion = { ...motion, ways: [] };
  }

  /** The way of the motion between two times. */
  drawBetween(from: number, to: number): number {
    this.#motion?.ways.push([from, to]);
    return this.draw();
  }

  add(row: BuiltRow): void {
    this.rows.push(compiledRow(row));
  }

  /** Adds a row that stands for no call, behind the last one that does. */
  addBehind(row: BuiltRow): void {
    const last = this.rows.at(-1) as CompiledRow & { after?: CompiledRow[] };
    last.after ??= [];
    last.after.push(compiledRow(row));
  }
}

interface BuiltRow {
  timestep: number;
  inputScale?: number;
  x0: CompiledRow['x0'];
  assign: readonly (readonly [to: Assignment['to'], linear: Linear])[];
  noise?: number | undefined;
  blend?: CompiledRow['blend'];
}

function compiledRow({ timestep, inputScale = 1, x0, assign: sums, noise, blend }: BuiltRow): CompiledRow {
  const assignments = sums.map(([to, linear]) => assign(to, linear));
  const reads = assignments.some(({ terms }) => terms.some((term) => term.slot === 'noise'));
  const noisy = noise !== undefined && (reads || blend?.redrawn);
  return { timestep, inputScale, x0, assign: assignments, ...(noisy && { noise }), ...(blend && { blend }) };
}

/** Refuses a schedule whose arithmetic breaks down, instead of making a black picture of it. */
export function requireFinite(className: string, rows: readonly CompiledRow[]): void {
  for (const [call, row] of rows.entries()) {
    const values: PerSample[] = [row.timestep, row.inputScale, row.x0.x, row.x0.m];
    for (const { assign } of allRows([row]))
      for (const { terms } of assign) values.push(...terms.map((term) => term.coefficient));
    if (values.flat().every(Number.isFinite)) continue;
    throw new DeepCacheError(
      'ERR_DEEPCACHE_INVALID_ARGUMENT',
      `${className} has no finite step at call ${call} (timestep ${row.timestep}) with these settings: ` +
        'use another number of steps, timestep spacing or prediction type',
    );
  }
}

function requireSteps(steps: unknown, trainSteps: number): number {
  if (typeof steps !== 'number' || !Number.isInteger(steps) || steps < 1) {
    throw invalidArgument('steps', `must be a whole number of at least 1, got ${show(steps)}`);
  }
  if (steps > trainSteps) {
    throw invalidArgument(
      'steps',
      `must not be more than the ${trainSteps} training steps of the model, got ${steps}`,
    );
  }
  return steps;
}

/**
 * The number of inference steps, from `steps` or the length of a list of the user's own. `supported` are the lists that
 * the scheduler can take.
 */
export function resolveSteps(
  className: string,
  options: CompileOptions,
  trainSteps: number,
  supported: readonly ('timesteps' | 'sigmas')[],
): number {
  const { steps, timesteps, sigmas } = options;
  if (timesteps && sigmas) throw invalidArgument('timesteps', 'and sigmas exclude each other');
  for (const name of ['timesteps', 'sigmas'] as const) {
    if (options[name] !== undefined && !supported.includes(name)) {
      throw invalidArgument(name, `of your own cannot be used with ${className}`);
    }
  }
  const list = timesteps ?? sigmas;
  if (!list) return requireSteps(steps, trainSteps);
  requireDescending(timesteps ? 'timesteps' : 'sigmas', list, timesteps ? trainSteps - 1 : Number.MAX_VALUE);
  if (steps !== undefined && steps !== list.length) {
    throw invalidArgument(
      'steps',
      `is ${steps}, but ${timesteps ? 'timesteps' : 'sigmas'} has ${list.length} values`,
    );
  }
  return list.length;
}

/** A number option in a range, or its default. */
export function optionInRange(
  name: string,
  value: unknown,
  fallback: number,
  min: number,
  max = Infinity,
): number {
  if (value === undefined) return fallback;
  if (typeof value === 'number' && value >= min && value <= max) return value;
  const range = max === Infinity ? `of at least ${min}` : `from ${min} to ${max}`;
  throw invalidArgument(name, `must be a number ${range}, got ${show(value)}`);
}

function requireDescending(name: string, values: readonly number[], max: number): void {
  if (!Array.isArray(values) || values.length === 0) {
    throw invalidArgument(name, 'must be a list of at least one number');
  }
  for (const [i, value] of values.entries()) {
    if (typeof value !== 'number' || !(value >= 0 && value <= max)) {
      throw invalidArgument(`${name}[${i}]`, `must be a number from 0 to ${max}, got ${show(value)}`);
    }
    if (i > 0 && value >= (values[i - 1] as number)) throw invalidArgument(name, 'must go from high to low');
  }
}
