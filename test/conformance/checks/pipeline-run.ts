import { helperIndices } from '../../../lib/deepcache/index.js';
import type { GenerateOptions, Tensor } from '../../../lib/index.js';
import { motionDraws } from '../../../lib/pipelines/inputs/motion-draws.js';
import { NoiseSource } from '../../../lib/pipelines/inputs/noise.js';
import { toSeed } from '../../../lib/pipelines/inputs/seeds.js';
import { chooseScheduler } from '../../../lib/pipelines/loading/scheduler-file.js';
import type { CompiledSchedule, MotionDraws } from '../../../lib/schedulers/index.js';
import { concat, countOf } from '../../../lib/tensor.js';
import type { Tolerance } from '../compare.js';
import type { Findings } from '../findings.js';
import type { GoldenCase } from '../goldens.js';
import type { Pipeline } from '../models.js';

/** What a run did, call by call. */
export interface RecordedRun {
  timesteps: number[];
  full: boolean[];
  /** After each call [n, c, h, w]. */
  latents: Float32Array[];
  final: Tensor;
  schedule: CompiledSchedule;
}

/** The tolerance of latents would not notice a timestep that is one off. */
const TIMESTEPS: Tolerance = { atol: 1e-3, rtol: 1e-5 };
/** Two of torch's code paths differ by half of this. */
const NOISE: Tolerance = { atol: 4e-6, rtol: 0 };

const SAME: Tolerance = { atol: 0, rtol: 0 };

/** Runs a pipeline and keeps everything that goldens know. */
export async function recordRun(pipe: Pipeline, options: GenerateOptions): Promise<RecordedRun> {
  const timesteps: number[] = [];
  const full: boolean[] = [];
  const latents: Float32Array[] = [];
  const result = await pipe.generate({
    ...options,
    output: 'latent',
    latentsEvery: 1,
    onStep: (event) => {
      timesteps.push(event.timestep);
      full.push(event.full);
      if (event.latents) latents.push(event.latents.data);
    },
  });
  const schedule = scheduleOf(pipe, options);
  return { timesteps, full, latents, final: result.tensor as Tensor, schedule };
}

/** The whole schedule of a run. */
export function scheduleOf(pipe: Pipeline, options: GenerateOptions): CompiledSchedule {
  const scheduler = chooseScheduler(options.scheduler ?? pipe.scheduler, pipe.scheduler);
  const { eta } = options;
  const steps = (options.steps ?? options.numInferenceSteps) as number;
  return scheduler.compile({ steps, ...(eta !== undefined && { eta }) });
}

/**
 * Compares a run with what is stored of it: latents after every call, timesteps, which calls were full.
 *
 * @param isCompared which of the latents' values; all by default.
 */
export function compareRun(
  golden: GoldenCase,
  findings: Findings,
  run: RecordedRun,
  isCompared?: (value: number) => boolean,
): void {
  if (isCompared) {
    const stored = golden.tensor('latents').data as Float32Array;
    const some = (values: Float32Array) => values.filter((_, i) => isCompared(i));
    const [actual, expected] = [some(concat(run.latents)), some(stored)];
    const calls = run.latents.length;
    const shape = [calls, expected.length / calls];
    findings.values('latents', actual, expected, findings.toleranceOf('latents'), shape);
  } else {
    findings.tensor('latents', concat(run.latents));
  }
  findings.values('the result', run.final.data, run.latents.at(-1) ?? [], SAME);
  if (golden.has('timesteps')) findings.tensor('timesteps', passes(golden, run), TIMESTEPS);
  const full = golden.field<boolean[]>('full_step') ?? run.full.map(() => true);
  findings.equal('full_step', run.full, full);
  const indices = golden.field<number[]>('timestep_index');
  if (indices) {
    findings.equal('timestep_index', helperIndices(run.timesteps, run.schedule.schedulerTimesteps), indices);
  }
}

/** The timestep of each pass of the U-Net: with self-attention guidance there are two in a call. */
function passes(golden: GoldenCase, { timesteps }: RecordedRun): number[] {
  if (!golden.field<boolean>('sag')) return timesteps;
  return timesteps.flatMap((timestep) => [timestep, timestep]);
}

/** A picture's autoencoder and its noise draw before the sampler. */
const PICTURE_DRAWS = 2;

/** The random numbers that a seed gives, in the order in which the reference drew them; last those of a motion, if any. */
export async function compareNoise(
  golden: GoldenCase,
  findings: Findings,
  motion?: MotionDraws,
): Promise<void> {
  await compareFlatNoise(golden, findings);
  const roles = ['latents_noise', 'noise_draws'].filter((role) => golden.has(role));
  if (roles.length === 0) return;
  const seed = golden.field<number | number[]>('seed');
  const seeds = [seed].flat().map((value) => toSeed('seed', value));
  const [batch = 0, ...each] = golden.tensor(roles[0] as string).shape.slice(-4);
  // Of several images that draw for themselves the first ones' may be all that is stored.
  const source = new NoiseSource(seeds.slice(0, batch), batch);
  for (const role of roles) {
    const { shape } = golden.tensor(role);
    const draws = shape.length > 4 ? (shape[0] as number) : 1;
    const drawn: Float32Array[] = [];
    const ways = role === 'noise_draws' && motion ? draws - (golden.has('image') ? PICTURE_DRAWS : 0) : 0;
    for (let i = 0; i < draws - ways; i++) drawn.push(await source.draw(countOf(each)));
    if (motion && ways > 0) {
      const part = { ...motion, ways: motion.ways.slice(-ways) };
      drawn.push(await motionDraws({ motion: part, seeds, batch, count: countOf(each) }));
    }
    findings.tensor(role, concat(drawn), NOISE);
  }
}

/** All draws of a seed one behind the other, where they differ in their shapes. */
async function compareFlatNoise(golden: GoldenCase, findings: Findings): Promise<void> {
  if (golden.has('noise_draws_0')) {
    const source = new NoiseSource([toSeed('seed', golden.field<number>('seed'))], 1);
    for (let i = 0; golden.has(`noise_draws_${i}`); i++) {
      const role = `noise_draws_${i}`;
      findings.tensor(role, await source.draw(countOf(golden.tensor(role).shape)), NOISE);
    }
  }
  const shapes = golden.field<number[][]>('draw_shapes');
  if (!shapes || !golden.has('noise_draws_flat')) return;
  const source = new NoiseSource([toSeed('seed', golden.field<number>('seed'))], 1);
  const drawn: Float32Array[] = [];
  for (const shape of shapes) drawn.push(await source.draw(countOf(shape)));
  findings.tensor('noise_draws_flat', concat(drawn), NOISE);
}
