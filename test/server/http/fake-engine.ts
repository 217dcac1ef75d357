import { randomBytes, randomUUID } from 'node:crypto';
import { DeepCacheError, Image } from '../../../lib/index.js';
import type { GenerateResult } from '../../../lib/pipelines/outputs/result.js';
import { LatentPreview } from '../../../lib/previews/latent-preview.js';
import { linearLook } from '../../../lib/previews/look.js';
import { SD_PROJECTION } from '../../../lib/previews/projection.js';
import { EventLog } from '../../../lib/server/engine/event-log.js';
import type { Engine, Job, JobRequest, JobState } from '../../../lib/server/http/engine.js';

/** A job whose steps a test makes. */
export class FakeJob implements Job {
  readonly id = randomUUID();
  readonly times = { queued: Date.now() };
  state: JobState = 'queued';
  position = 1;
  secondsLeft = 3;
  readonly result: Promise<GenerateResult>;
  readonly #log = new EventLog();
  #settle!: { resolve(result: GenerateResult): void; reject(error: unknown): void };

  constructor(readonly request: JobRequest) {
    this.result = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    this.result.catch(() => {});
    this.#log.push({ type: 'queued', position: 1, secondsLeft: 3 });
  }

  events(from?: number) {
    return this.#log.read(from);
  }

  start(): void {
    this.state = 'running';
    this.position = 0;
    this.#log.push({ type: 'started' });
  }

  step(call: number, calls = 4, withPreview = false): void {
    const preview = withPreview ? { preview: previewOf(call) } : {};
    this.#log.push({ type: 'step', step: call, steps: calls, call, calls, kind: 'full', ...preview });
  }

  /** @param look of its pictures: noise is large as a file. */
  finish(look: 'flat' | 'noise' = 'flat'): void {
    const {
      numImages = 1,
      seed = 7,
      seeds,
      width = 64,
      height = 64,
    } = this.request.options as Record<string, never>;
    const images = Array.from({ length: numImages }, (_, i) =>
      look === 'flat' ? pictureOf(width, height, i) : noise(width, height),
    );
    this.state = 'done';
    this.#log.push({ type: 'done' });
    const times = { encode: 0.1, prepare: 0.1, denoise: 1, decode: 0.2, total: 1.4 };
    this.#settle.resolve({
      images,
      settings: images.map(() => 'Steps: 4'),
      seeds: seeds ?? [seed],
      stats: { times, speedup: 2 },
      notes: [],
    } as unknown as GenerateResult);
  }

  fail(error: Error): void {
    this.state = 'failed';
    this.#log.push({ type: 'failed', error });
    this.#settle.reject(error);
  }

  cancel(): void {
    if (this.state !== 'queued' && this.state !== 'running') return;
    this.state = 'cancelled';
    this.#log.push({ type: 'cancelled' });
    this.#settle.reject(new DeepCacheError('ERR_DEEPCACHE_ABORTED', 'The job was cancelled'));
  }
}

/** An engine that does what a test says; by itself it finishes every job at once. */
export class FakeEngine implements Engine {
  readonly jobs: FakeJob[] = [];
  /** What becomes of a job that was accepted. */
  onJob: (job: FakeJob) => void = (job) => {
    job.start();
    job.finish();
  };
  onSubmit: (request: JobRequest) => void = () => {};
  isClosed = false;

  async submit(request: JobRequest): Promise<Job> {
    this.onSubmit(request);
    const job = new FakeJob(request);
    this.jobs.push(job);
    this.onJob(job);
    return job;
  }

  models() {
    return [{ name: 'one', loras: ['ink'] }, { name: 'two' }];
  }

  stats() {
    const count = (wanted: JobState) => this.jobs.filter(({ state }) => state === wanted).length;
    return { queued: count('queued'), running: count('running'), secondsLeft: 12, passes: 4, samples: 10 };
  }

  async close({ finish }: { finish: boolean }): Promise<void> {
    this.isClosed = true;
    if (!finish) for (const job of this.jobs) job.cancel();
    await Promise.all(this.jobs.map(({ result }) => result.catch(() => {})));
  }
}

function pictureOf(width: number, height: number, shade: number): Image {
  return new Image({ width, height, data: new Uint8Array(width * height * 3).fill(40 * shade + 10) });
}

/** Latents [1, 4, 8, 8] of one colour. */
function previewOf(value: number): LatentPreview {
  return new LatentPreview(new Float32Array(256).fill(value / 4), [1, 4, 8, 8], linearLook(SD_PROJECTION, 8));
}

function noise(width: number, height: number): Image {
  return new Image({ width, height, data: randomBytes(width * height * 3) });
}
