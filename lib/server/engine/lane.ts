import type { Log } from '../../log.js';
import type { Conducted, ConductedRun } from '../../pipelines/loop/conductor.js';
import type { StepEvent } from '../../pipelines/outputs/result.js';
import type { EngineJob } from './engine-job.js';
import type { EngineDevice } from './engine-options.js';
import type { LaneJob } from './lane-job.js';
import type { ModelOptions } from './model-options.js';
import { ModelPool } from './model-pool.js';
import type { EngineNetworks } from './networks.js';
import { Costs } from './schedule/costs.js';
import type { PlannedJob } from './schedule/planned-job.js';
import { Scheduler, type SchedulerOptions } from './schedule/scheduler.js';
import type { ServedModel } from './served-model.js';
import { TickConductor } from './tick-conductor.js';
import { UpscalerPool } from './upscaler-pool.js';

export interface LaneOptions extends SchedulerOptions {
  /** Undefined: what the models' own options say. */
  readonly device: string | undefined;
  readonly models: ReadonlyMap<string, ModelOptions>;
  readonly maxLoaded: number;
  readonly log: Log | undefined;
  readonly networks?: EngineNetworks | undefined;
}

/** What a job takes besides its U-Net calls counts so much less after one more of its model. */
const MEMORY = 0.8;

/** One device: its loaded models, the jobs that wait for it and those that run on it. */
export class Lane {
  readonly models: ModelPool;
  readonly scheduler: Scheduler<PlannedJob>;
  readonly #conductor: TickConductor;
  readonly #upscalers: UpscalerPool;
  readonly #running = new Map<string, Promise<void>>();
  readonly #around = new Map<string, number>();
  /** What 'auto' turned out to be. */
  #device: string | undefined;
  /** Jobs that have the memory that they need, and what waits for one of them to end. */
  readonly #holding = new Set<string>();
  #waiting: (() => void)[] = [];

  /** @param onEnd called when a job has ended and its place is free. */
  constructor(
    options: LaneOptions,
    private readonly onEnd: () => void,
  ) {
    this.models = new ModelPool(options);
    this.#upscalers = new UpscalerPool(options.networks?.upscalers ?? {});
    this.scheduler = new Scheduler(new Costs(), options);
    this.#conductor = new TickConductor(this.scheduler);
  }

  get running(): number {
    return this.#running.size;
  }

  /** Passes of U-Nets so far, samples in them, and their time. */
  get counts(): { passes: number; samples: number; milliseconds: number } {
    return this.#conductor.counts;
  }

  /** What is known of the device; nothing before the first model was loaded. */
  about(): EngineDevice | undefined {
    const loaded = this.models.list.filter(({ place }) => place);
    const { device = this.#device, available } = loaded[0]?.place ?? {};
    this.#device = device;
    if (device === undefined) return undefined;
    return {
      ...{ device, models: loaded.map(({ name }) => name), seconds: this.counts.milliseconds / 1000 },
      ...(available !== undefined && { available }),
    };
  }

  submit(job: LaneJob): void {
    this.scheduler.submit(job);
  }

  /** Begins what may. */
  fill(): void {
    for (const job of this.scheduler.begin(Date.now(), ({ model }) => this.models.hasRoom(model))) {
      const model = this.models.enter(job.model);
      const running = this.#run(job as LaneJob, model).finally(() => {
        this.models.leave(model);
        this.#running.delete(job.id);
        this.scheduler.end(job.id);
        this.#release(job.id);
        this.#conductor.pump();
        this.onEnd();
      });
      this.#running.set(job.id, running);
    }
  }

  /** A job of another lane that this one may begin at once. */
  steal(from: Lane): void {
    const [first] = from.scheduler.order(Date.now());
    const job = first && from.scheduler.withdraw(first.id);
    if (job) this.scheduler.submit(job);
  }

  /** Seconds until a job is done, by estimate. */
  secondsLeft(id: string, model: string, order: readonly PlannedJob[]): number | undefined {
    const calls = this.scheduler.outlook(id, order);
    if (calls === undefined) return undefined;
    return (calls + (this.#around.get(model) ?? 0)) / 1000;
  }

  /** Seconds until all jobs are done, by estimate. */
  get allSecondsLeft(): number | undefined {
    const { scheduler } = this;
    const known = this.models.list.some(({ name }) => scheduler.costs.knows(name));
    return known ? scheduler.load / 1000 : undefined;
  }

  /** Waits for what runs. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.race(this.#running.values());
  }

  /** Frees what it has loaded. */
  async close(): Promise<void> {
    await this.models.close();
    await this.#upscalers.close();
  }

  async #run({ job, task, options, needs, ...planned }: LaneJob, model: ServedModel): Promise<void> {
    job.begin();
    try {
      const pipeline = await this.models.pipeline(model, task);
      await model.prepare(needs, job.signal);
      const run = {
        ...(await this.#upscalers.resolve(options, pipeline)),
        ...job.previews,
        signal: job.signal,
        onStep: (event: StepEvent) => job.step(event),
      };
      job.trace.begin('encode');
      const result = await pipeline.generateJoined(run, {
        enter: (conducted) => this.#enter(job, planned, conducted),
        holdMemory: () => void this.#holding.add(planned.id),
        memoryFreed: () => this.#memoryFreed(),
      });
      this.#learnAround(planned.model, result.stats.times);
      job.finish(result);
    } catch (error) {
      job.fail(error);
    }
  }

  /** Its calls begin. */
  #enter(job: EngineJob, planned: PlannedJob, conducted: ConductedRun): Conducted {
    job.trace.begin('denoise');
    const run = this.#conductor.enter(planned, conducted, (samples) => job.trace.ran(samples));
    return {
      ...run,
      leave: () => {
        run.leave();
        job.trace.begin('decode');
      },
    };
  }

  #release(id: string): void {
    if (!this.#holding.delete(id)) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }

  #memoryFreed(): Promise<void> | undefined {
    if (this.#holding.size === 0) return undefined;
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #learnAround(model: string, { total, denoise }: { total: number; denoise: number }): void {
    const took = 1000 * (total - denoise);
    const before = this.#around.get(model) ?? took;
    this.#around.set(model, MEMORY * before + (1 - MEMORY) * took);
  }
}
