import { DeepCacheError } from '../errors.js';
import { finish } from '../native/device.js';
import type { HistorySlots, NativeUnet, UnetConditions } from '../native/types.js';
import type { Start } from '../pipelines/family.js';
import type { RanCall } from '../pipelines/loop/calls.js';
import type { LoopResult, RunPlan } from '../pipelines/loop/plan.js';
import { freeSlots } from '../schedulers/free-slots.js';
import type { Guidance, NoiseLevel, Scheduler, StepRow } from '../schedulers/index.js';
import type { HistorySlot } from '../schedulers/table.js';
import type { Decider, LabCall, LabHalves, LabOutput, LabPolicy, LabRun } from './policy.js';
import { mix } from './vectors.js';

/** What a run of one picture is made of. */
export interface SessionRun {
  readonly unet: NativeUnet;
  readonly plan: RunPlan;
  readonly scheduler: Pick<Scheduler, 'trainSteps' | 'betas'>;
  readonly start: Start;
  /** [1, c, h, w] */
  readonly latent: readonly [number, number, number, number];
  readonly guided: boolean;
  /** What a retrieve step of each branch costs, as a share of a full call's multiply-accumulates. */
  readonly shares: readonly number[];
  readonly signal?: AbortSignal | undefined;
}

/** Inputs of a run that its calls take; anything else is none of the laboratory's. */
const CONDITIONS = ['context', 'contextLength', 'textEmbeds', 'timeIds', 'timestepCond', 'contextMask'];
/** Of these there is one row for each output of guidance. */
const ROWS = ['context', 'textEmbeds', 'timeIds', 'contextMask'];

/**
 * A run of one picture, call by call: a policy decides with the latents in hand what is computed, and the sampler's own
 * row follows natively. Slower than a step table, and free: that is what it is for.
 */
export class Session {
  /** Of all calls so far, in full calls. */
  cost = 0;
  #slots: HistorySlots = {};
  #latents: Float32Array;
  readonly #calls: RanCall[] = [];
  /** A history slot that the sampler does not use, by way of which a row gets its model output. */
  readonly #free: HistorySlot;

  /** @throws DeepCacheError ERR_DEEPCACHE_UNSUPPORTED for what only a step table can run. */
  constructor(private readonly run: SessionRun) {
    const { start, plan, latent } = run;
    const { latents, table: _, ...inputs } = start;
    const foreign = Object.entries(inputs).filter(
      ([name, value]) => value !== undefined && !CONDITIONS.includes(name) && !isEmpty(value),
    );
    const noisy = plan.compiled.noiseUsed.includes(true);
    if (latent[0] !== 1 || foreign.length > 0 || noisy) {
      const what = noisy
        ? 'samplers that draw noise'
        : latent[0] !== 1
          ? 'several pictures at once'
          : `runs with ${foreign[0]?.[0]}`;
      throw unsupported(what);
    }
    if (plan.table.programs.some(({ degrades }) => degrades)) throw unsupported('self-attention guidance');
    const free = freeSlots(plan.table.rows).at(-1);
    if (free === undefined) throw unsupported('samplers that need all memory of a step');
    this.#free = free;
    this.#latents = latents;
  }

  /** Runs all calls as the policy has it. */
  async finish(
    { branches }: Pick<LabPolicy, 'branches'>,
    begin: (run: LabRun) => Decider,
  ): Promise<LoopResult> {
    const { plan, scheduler, shares } = this.run;
    const { timesteps, noiseLevels: levels } = plan.compiled;
    const { trainSteps, betas } = scheduler;
    const decide = begin({
      ...{ calls: timesteps.length, timesteps, levels, trainSteps, betas, shares },
    });
    for (const index of timesteps.keys()) await this.#step(index, decide, branches);
    return { latents: this.#latents, calls: this.#calls };
  }

  async #step(index: number, decide: Decider, branches: readonly number[]): Promise<void> {
    const { plan, latent, unet, signal } = this.run;
    const row = plan.table.rows[index] as StepRow;
    const ran: RanCall = { kind: 'predict', milliseconds: 0 };
    this.#calls.push(ran);
    const output = await decide(this.#call(index, row, branches, ran));
    const { program: _, guidance: __, ...rest } = row;
    const table = {
      programs: plan.table.programs,
      rows: [{ ...rest, predict: [{ slot: this.#free, coefficient: 1 }] }],
    };
    const [, , height, width] = latent;
    const { contextLength, ...conditions } = this.#conditions('all');
    const request = {
      ...{ ...conditions, batch: 1, outputs: this.#outputs, height, width, table, latents: this.#latents },
      ...(contextLength !== undefined && { contextLength }),
      slots: { ...this.#slots, [this.#free]: output },
    };
    const { latents, slots } = await finish(() => unet.denoise(request), signal);
    this.#latents = latents;
    this.#slots = { ...this.#slots, ...slots };
  }

  get #outputs(): 1 | 2 {
    return this.run.guided ? 2 : 1;
  }

  #call(index: number, row: StepRow, branches: readonly number[], ran: RanCall): LabCall {
    const { plan, shares } = this.run;
    const scale = one(row.inputScale);
    const [p, q] = [one(row.x0.x), one(row.x0.m)];
    const level = plan.compiled.noiseLevels[index] as NoiseLevel;
    const { sqrtAlpha: alpha, sigma } = level;
    const latents = this.#latents;
    const input = scale === 1 ? latents : mix([scale, latents]);
    const compute = async (halves: LabHalves, retrieve?: number): Promise<LabOutput> => {
      const start = performance.now();
      const output = await this.#compute(index, row, input, {
        halves,
        branches,
        ...(retrieve !== undefined && { retrieve }),
      });
      ran.milliseconds += performance.now() - start;
      const kind = retrieve === undefined ? 'full' : 'retrieve';
      const outputs = halves === 'conditional' ? 1 : this.#outputs;
      Object.assign(ran, {
        kind,
        computed: { kind, ...(retrieve !== undefined && { branch: retrieve }), outputs },
      });
      const share = retrieve === undefined ? 1 : (shares[retrieve] as number);
      this.cost += halves === 'conditional' && this.run.guided ? share / 2 : share;
      return output;
    };
    return {
      ...{ index, latents, input, inputLevel: { sqrtAlpha: alpha * scale, sigma: sigma * scale } },
      full: (halves = 'all') => compute(halves),
      retrieve: (branch) => compute('all', branch),
      toNoise: (output) => mix([(1 - alpha * p) / sigma, latents], [(-alpha * q) / sigma, output]),
      fromNoise: (noise) => mix([(1 - alpha * p) / (alpha * q), latents], [-sigma / (alpha * q), noise]),
      toClean: (output, other) => mix([p / (other ? scale : 1), other ?? latents], [q, output]),
      fromClean: (clean) => mix([1 / q, clean], [-p / q, latents]),
    };
  }

  async #compute(
    index: number,
    row: StepRow,
    input: Float32Array,
    { halves, branches, retrieve }: { halves: LabHalves; branches: readonly number[]; retrieve?: number },
  ): Promise<LabOutput> {
    const { unet, latent, plan, guided, signal } = this.run;
    const [, , height, width] = latent;
    const count = guided && halves === 'all' ? 2 : 1;
    const sample = new Float32Array(count * input.length);
    for (let i = 0; i < count; i++) sample.set(input, i * input.length);
    const request = {
      ...{ ...this.#conditions(halves), batch: count, height, width, sample },
      timesteps: [plan.compiled.timesteps[index] as number],
      ...(retrieve === undefined ? { features: branches } : { retrieve }),
    };
    const { out } = await finish(() => unet.forward(request), signal);
    if (count === 1) return { guided: out, conditional: out };
    const [negative, positive] = [out.subarray(0, input.length), out.slice(input.length)];
    return { guided: withGuidance(negative, positive, row.guidance), conditional: positive };
  }

  #conditions(halves: LabHalves): UnetConditions {
    const entries = Object.entries(this.run.start).filter(([name]) => CONDITIONS.includes(name));
    const isHalf = this.run.guided && halves === 'conditional';
    // The negative prompt's row comes first.
    const half = (values: Float32Array) => values.subarray(values.length / 2);
    return Object.fromEntries(
      entries.map(([name, value]) => [
        name,
        isHalf && ROWS.includes(name) ? half(value as Float32Array) : value,
      ]),
    );
  }
}

/** u + scale (c - u), as the native loop has it. */
function withGuidance(u: Float32Array, c: Float32Array, guidance: Guidance | undefined): Float32Array {
  if (!guidance) return c;
  if (one(guidance.rescale) !== 0 || guidance.third !== undefined || guidance.rule !== undefined)
    throw unsupported('guidance other than plain');
  const scale = one(guidance.scale);
  return u.map((value, i) => value + scale * ((c[i] as number) - value));
}

const one = (value: number | readonly number[]) => (typeof value === 'number' ? value : (value[0] as number));

const isEmpty = (value: unknown) => Array.isArray(value) && value.length === 0;

const unsupported = (what: string) =>
  new DeepCacheError('ERR_DEEPCACHE_UNSUPPORTED', `The laboratory cannot step through ${what}`);
