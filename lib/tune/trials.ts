import { speedupsOf } from '../compare/speedup.js';
import { invalidArgument } from '../errors.js';
import type { Journal } from '../files/journal.js';
import type { Image } from '../images/image.js';
import { psnr } from '../metrics/psnr.js';
import type { UNetModel } from '../models/unet.js';
import type { GenerateOptions } from '../pipelines/inputs/options.js';
import type { GenerateResult, GenerateStats, StepEvent } from '../pipelines/outputs/result.js';
import type { PlannedRun } from '../plans/saved-plan.js';
import { gainOf, mean } from './likeness.js';
import { type Between, type Candidate, cacheOf, keyOf, type Schedule } from './schedule.js';
import { type Trajectory, type UncachedRun, uncachedRun } from './uncached.js';

/** Decibels that equal pictures count: Infinity would drown all others. */
const EQUAL = 80;

/** Every pipeline that `tune` can search for. */
export interface TunablePipeline {
  /** What it was loaded from. */
  readonly model?: unknown;
  /** As {@link DiffusionPipeline.generate}. */
  generate(options: GenerateOptions): Promise<GenerateResult>;
  /** What says which branches there are, and what calls cost. */
  readonly unet: Pick<UNetModel, 'validateBranch'>;
  /** As {@link DiffusionPipeline.plannedRun}. */
  plannedRun(options: GenerateOptions): PlannedRun | undefined;
  /** Pipelines with latents have one; predicted calls are searched for these only. */
  readonly vae?: unknown;
}

/** What else is wanted of a run. */
interface Told {
  /** What it finds is added to. */
  path?: Trajectory;
  /** Default: pictures. */
  output?: 'image' | 'latent';
  /** Whether to tell what calls take for the clean latents. Default true. */
  withClean?: boolean;
  /** After each call. */
  onCall?: () => void;
  /** Ends the run. */
  stop?: AbortSignal;
}

/** A run was ended because there is no more time. */
export class OutOfTime extends Error {}

/** Runs schedules on a fixed set of prompts and seeds; a schedule's pictures are made once. */
export class Trials {
  calls = 0;
  runs = 0;
  #references: readonly Image[] = [];
  #referenceStats: GenerateStats | undefined;
  /** Of the uncached run. */
  readonly #path: Trajectory = { latents: [], denoised: [], levels: [] };
  readonly #known = new Map<string, { decibels: readonly number[]; stats: GenerateStats }>();
  /** Of the sampler, which may make several calls in one. */
  #steps = 0;
  readonly #seconds = new Map<'full' | Between, number>();

  constructor(
    private readonly pipe: TunablePipeline,
    private readonly options: GenerateOptions,
    private readonly hooks: {
      /** Whether there is no more time. */
      isOver?: () => boolean;
      /** Ends the run that is being made, which throws {@link OutOfTime}. */
      end: AbortSignal;
      /** After a run; without decibels where no pictures were made. */
      onRun: (schedule: Schedule, psnr?: number) => void;
    },
    /** Where what is found is kept, and under what name. */
    private readonly kept?: { journal: Journal<unknown>; name: string },
  ) {}

  isOver(): boolean {
    return this.hooks.isOver?.() ?? false;
  }

  /** Makes the pictures without a cache. */
  async start(): Promise<void> {
    const { images, stats } = await this.#run(false, { path: this.#path });
    this.#references = images;
    this.#referenceStats = stats;
    this.calls = stats.calls;
    if (this.calls < 2) throw invalidArgument('steps', 'must be at least 2: one call has nothing to cache');
  }

  /** Mean decibels of the pictures. */
  async psnr(schedule: Schedule): Promise<number> {
    return mean(await this.decibels(schedule));
  }

  /** By how many decibels a schedule is better than another one, see {@link gainOf}. */
  async gain(schedule: Schedule, other: Schedule): Promise<number> {
    return gainOf(await this.decibels(schedule), await this.decibels(other));
  }

  /** What the uncached run found; undefined where it had no previews, or no noise to find. */
  get uncached(): UncachedRun | undefined {
    return uncachedRun(this.#path, this.#references.length);
  }

  /** Decibels of each picture. */
  async decibels(schedule: Schedule): Promise<readonly number[]> {
    const key = keyOf(schedule);
    const known = this.#known.get(key);
    if (known) return known.decibels;
    const found = await this.remembered(`pictures ${key}`, async () => {
      const { images, stats } = await this.#run(schedule);
      return { decibels: this.#likeness(images), stats };
    });
    this.#known.set(key, found);
    this.hooks.onRun(schedule, mean(found.decibels));
    return found.decibels;
  }

  /** What the journal has of something, with what calls took; otherwise it is made, and kept there. */
  async remembered<T>(key: string, make: () => Promise<T>): Promise<T> {
    if (!this.kept) return make();
    const { journal, name } = this.kept;
    const entry = journal.get(`${name} ${key}`) as
      | { found: T; seconds: ['full' | Between, number][] }
      | undefined;
    if (entry) {
      for (const [kind, seconds] of entry.seconds) this.#took(kind, seconds);
      return entry.found;
    }
    const found = await make();
    // Nothing is found where time ends.
    if (found !== undefined) await journal.add(`${name} ${key}`, { found, seconds: [...this.#seconds] });
    return found;
  }

  /**
   * How far a schedule has strayed before each call, and in the end: for each of them the squared distance of every
   * picture's latents from the uncached run's, as a share of the final ones' square.
   */
  errors(schedule: Schedule): Promise<(readonly number[])[]> {
    return this.remembered(`errors ${keyOf(schedule)}`, () => this.#errors(schedule));
  }

  async #errors(schedule: Schedule): Promise<(readonly number[])[]> {
    const path: Trajectory = { latents: [], denoised: [], levels: [] };
    await this.#run(schedule, { path, output: 'latent', withClean: false });
    const pictures = this.#references.length;
    const last = this.#path.latents[this.calls - 1] as Float32Array;
    const size = last.length / pictures;
    const scale = Array.from({ length: pictures }, (_, i) => squares(last, i * size, size));
    const errors = path.latents.map((latents, call) =>
      scale.map((whole, i) => squares(latents, i * size, size, this.#path.latents[call]) / whole),
    );
    this.hooks.onRun(schedule);
    return [scale.map(() => 0), ...errors];
  }

  /** What a schedule's run finds up to a call, which is not made, as {@link uncached} is of the whole uncached one. */
  async told(schedule: Schedule, end: number): Promise<UncachedRun | undefined> {
    const path: Trajectory = { latents: [], denoised: [], levels: [] };
    const enough = new AbortController();
    const onCall = () => {
      if (path.latents.length === end && end < this.calls) enough.abort();
    };
    try {
      await this.#run(schedule, { path, output: 'latent', onCall, stop: enough.signal });
    } catch (error) {
      const isOther = this.hooks.end.aborted || this.options.signal?.aborted;
      if (!enough.signal.aborted || isOther) throw error;
    }
    // Calls that were made until the run ended say nothing that is asked for.
    for (const list of Object.values(path)) list.splice(end);
    this.hooks.onRun(schedule);
    return uncachedRun(path, this.#references.length);
  }

  /** As many steps as take the time of a run that is so many times as fast, all in full: mean and worst decibels. */
  fewerSteps(speedup: number): Promise<{ steps: number; psnr: number; worst: number }> {
    const steps = Math.max(1, Math.floor(this.#steps / speedup));
    const count = this.options.numInferenceSteps === undefined ? { steps } : { numInferenceSteps: steps };
    return this.remembered(`steps ${steps}`, async () => {
      const { images } = await this.#generate({ cache: false, ...count });
      const decibels = this.#likeness(images);
      return { steps, psnr: mean(decibels), worst: Math.min(...decibels) };
    });
  }

  #likeness(images: readonly Image[]): number[] {
    return images.map((image, i) => Math.min(EQUAL, psnr(image, this.#references[i] as Image)));
  }

  async #run(schedule: Schedule | false, told: Told = {}): Promise<GenerateResult> {
    const { path, output = 'image', withClean = true, onCall, stop } = told;
    const run: Partial<GenerateOptions> = {
      cache: schedule && cacheOf(schedule, this.calls),
      output,
      ...(path && { latentsEvery: 1 }),
      ...(path && withClean && this.pipe.vae !== undefined && { previewEvery: 1 }),
      onStep: ({ kind, seconds, latents, preview, noiseLevel, steps }: StepEvent) => {
        this.#steps = steps;
        this.#took(
          kind === 'retrieve' && schedule ? branchOf(schedule) : (kind as 'full' | 'predict'),
          seconds,
        );
        if (!path || !latents) return;
        path.latents.push(latents.data);
        path.levels.push(noiseLevel);
        if (preview) path.denoised.push(preview.data);
        onCall?.();
      },
    };
    return this.#generate(run, stop);
  }

  async #generate(run: Partial<GenerateOptions>, stop?: AbortSignal): Promise<GenerateResult> {
    const { options } = this;
    const { end } = this.hooks;
    const signal = AbortSignal.any([options.signal, end, stop].filter((one) => one !== undefined));
    try {
      return await this.pipe.generate({ ...options, ...run, signal });
    } catch (error) {
      if (end.aborted && !options.signal?.aborted) throw new OutOfTime('no more time', { cause: error });
      throw error;
    } finally {
      this.runs++;
    }
  }

  /** The fastest of all calls counts: other work on the machine only ever slows them down. */
  #took(kind: 'full' | Between, seconds: number): void {
    this.#seconds.set(kind, Math.min(seconds, this.#seconds.get(kind) ?? Infinity));
  }

  /** What the run of a schedule that was tried says about its speed, next to the uncached one; undefined for others. */
  measuredSpeedups(schedule: Schedule): number[] {
    const known = this.#known.get(keyOf(schedule));
    return known && this.#referenceStats ? speedupsOf(this.#referenceStats, known.stats) : [];
  }

  /** What a number of full calls makes of the time: how many times as fast all calls together are. */
  speedup({ count, between, retrieved }: Candidate): number {
    const secondsOf = (kind: 'full' | Between) => this.#seconds.get(kind) as number;
    const others = (this.calls - count - (retrieved?.count ?? 0)) * secondsOf(between);
    const some = retrieved ? retrieved.count * secondsOf(retrieved.branch) : 0;
    return (this.calls * secondsOf('full')) / (count * secondsOf('full') + others + some);
  }
}

/** Where the calls of a schedule that retrieve do so. */
const branchOf = ({ between, retrieved }: Schedule): Between =>
  between === 'predict' ? (retrieved?.branch ?? between) : between;

function squares(values: Float32Array, start: number, count: number, others?: Float32Array): number {
  let sum = 0;
  for (let i = start; i < start + count; i++) sum += ((values[i] as number) - (others?.[i] ?? 0)) ** 2;
  return sum;
}
