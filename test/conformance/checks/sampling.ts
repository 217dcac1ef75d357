import { join } from 'node:path';
import type { ClassConditionalLDMPipeline, DDPMPipeline, StepEvent, Tensor } from '../../../lib/index.js';
import { finish } from '../../../lib/native/device.js';
import type { NativeUnet, UnetConditions } from '../../../lib/native/types.js';
import { NoiseSource } from '../../../lib/pipelines/inputs/noise.js';
import { concat } from '../../../lib/tensor.js';
import type { Findings } from '../findings.js';
import type { GoldenCase } from '../goldens.js';

/** The folder that the manifest's list of models gives to the case's model, or to its only one. */
export function originalFolder(golden: GoldenCase): string {
  const models = golden.sourceField<Record<string, { dir: string }>>('models') ?? {};
  const name = golden.field<string>('model') ?? Object.keys(models)[0];
  const model = models[String(name)];
  if (!model) throw new Error(`${golden.name}: the manifest has no model ${name}`);
  return join(golden.folder, model.dir);
}

export interface GivenDraws {
  values: Float32Array;
  /** Numbers of one draw. */
  size: number;
}

/** Noise that is given instead of drawn. */
export class GivenNoise extends NoiseSource {
  #next = 0;

  constructor(
    seeds: readonly bigint[],
    batch: number,
    private readonly noise: GivenDraws,
  ) {
    super(seeds, batch);
  }

  override async drawRows(rows: number, count: number): Promise<Float32Array> {
    return this.#take(rows * count);
  }

  override following(used: readonly boolean[]): Float32Array | undefined {
    if (!used.includes(true)) return undefined;
    return concat(used.map(() => this.#take(this.noise.size)).filter((_, i) => used[i]));
  }

  #take(count: number): Float32Array {
    const values = this.noise.values.subarray(this.#next, this.#next + count);
    this.#next += count;
    return values;
  }
}

/** The case's noise, draw after draw; without one nothing may be drawn. */
export function noiseOf(golden: GoldenCase): GivenDraws {
  const values = golden.has('noise') ? (golden.tensor('noise').data as Float32Array) : new Float32Array(0);
  return { values, size: golden.tensor('x_T').data.length };
}

/** What a run did, call by call. */
export interface SampledRun {
  timesteps: number[];
  full: boolean[];
  /** After each call. */
  states: Float32Array[];
  final: Float32Array;
}

/** Runs a pipeline from the case's noise. */
export async function recordSampling(
  golden: GoldenCase,
  pipe: DDPMPipeline | ClassConditionalLDMPipeline,
  options: object,
): Promise<SampledRun> {
  const run: SampledRun = { timesteps: [], full: [], states: [], final: new Float32Array(0) };
  const { tensor } = (await pipe.generate({
    ...options,
    latents: golden.tensor('x_T') as Tensor,
    output: 'latent',
    latentsEvery: 1,
    onStep: ({ timestep, full, latents }: StepEvent) => {
      run.timesteps.push(timestep);
      run.full.push(full);
      if (latents) run.states.push(latents.data);
    },
    // biome-ignore lint/suspicious/noExplicitAny: the two pipelines differ in what they require
  } as any)) as unknown as { tensor: Tensor };
  run.final = tensor.data;
  return run;
}

/** Which calls were full, and of `states` the first ones and the last. */
export function compareSampling(
  golden: GoldenCase,
  findings: Findings,
  run: SampledRun,
  states: Float32Array[],
) {
  const full = run.full.flatMap((value, i) => (value ? [i] : []));
  findings.equal('full_steps', full, golden.field('full_steps'));
  findings.equal('calls', run.full.length, golden.field('steps'));
  const stored = golden.tensor('xs_first3').shape[0] as number;
  findings.tensor('xs_first3', concat(states.slice(0, stored)));
  findings.tensor('x_final', run.final);
}

/** The U-Net's output at the first two calls, the second of which may be a retrieve step. */
export async function compareOutputs(
  golden: GoldenCase,
  findings: Findings,
  unet: NativeUnet,
  {
    run,
    states,
    halves,
    conditions,
  }: {
    run: SampledRun;
    /** Before each call. */
    states: readonly Float32Array[];
    halves: 1 | 2;
    conditions: UnetConditions;
  },
  branch: number | undefined,
): Promise<void> {
  const { shape } = golden.tensor('x_T');
  const [batch = 0, , height = 0, width = 0] = shape;
  const outputs: Float32Array[] = [];
  for (const call of [0, 1]) {
    const x = states[call] as Float32Array;
    const request = {
      ...conditions,
      batch: halves * batch,
      height,
      width,
      sample: concat(new Array<Float32Array>(halves).fill(x)),
      timesteps: [run.timesteps[call] as number],
      ...(branch !== undefined && (run.full[call] ? { features: [branch] } : { retrieve: branch })),
    };
    outputs.push((await finish(() => unet.forward(request))).out);
  }
  findings.tensor('eps_first2', concat(outputs));
}

/** A sample with its size, as requests have it. */
export function samples(golden: GoldenCase, role: string) {
  const { data, shape } = golden.tensor(role);
  const [batch = 0, , height = 0, width = 0] = shape;
  return { sample: data as Float32Array, batch, height, width };
}
