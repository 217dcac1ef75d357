import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { EngineDevice } from '../engine/engine-options.js';
import type { Source } from './engine.js';
import type { JobRecord, ServedEvent } from './jobs/desk.js';

/** Seconds of pictures: from a tenth to ten minutes. */
const SECONDS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60, 120, 300, 600];

/** What Prometheus reads. Names of callers and models are those of the server's options, never a request's. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #jobs: Counter<'model' | 'task' | 'state'>;
  readonly #wait: Histogram<'model'>;
  readonly #phases: Histogram<'model' | 'phase'>;
  readonly #calls: Counter<'model' | 'kind'>;
  readonly #pictures: Counter<'model'>;
  readonly #requests: Histogram<'method' | 'route' | 'status'>;

  constructor(engine: Source) {
    const registers = [this.#registry];
    collectDefaultMetrics({ register: this.#registry });
    this.#jobs = new Counter({
      ...{ name: 'deepcache_jobs_total', help: 'Jobs that ended, by how', registers },
      labelNames: ['model', 'task', 'state'],
    });
    this.#wait = new Histogram({
      ...{ name: 'deepcache_wait_seconds', help: 'Time from the acceptance of a job to its beginning' },
      ...{ registers, labelNames: ['model'], buckets: SECONDS },
    });
    this.#phases = new Histogram({
      ...{ name: 'deepcache_phase_seconds', help: 'Time of the phases of a job' },
      ...{ registers, labelNames: ['model', 'phase'], buckets: SECONDS },
    });
    this.#calls = new Counter({
      ...{
        name: 'deepcache_unet_calls_total',
        help: 'U-Net calls, by what the cache made of them',
        registers,
      },
      labelNames: ['model', 'kind'],
    });
    this.#pictures = new Counter({
      ...{
        name: 'deepcache_pictures_total',
        help: 'Pictures that were made',
        registers,
        labelNames: ['model'],
      },
    });
    this.#requests = new Histogram({
      ...{ name: 'deepcache_http_seconds', help: 'Time of HTTP requests, until the answer was sent' },
      ...{ registers, labelNames: ['method', 'route', 'status'], buckets: [0.001, 0.005, 0.025, ...SECONDS] },
    });
    const gauge = (name: string, help: string, value: () => number) =>
      new Gauge({
        ...{ name, help, registers },
        collect() {
          this.set(value());
        },
      });
    const total = (name: string, help: string, value: () => number | undefined) =>
      new Counter({
        ...{ name, help, registers },
        collect() {
          this.reset();
          this.inc(value() ?? 0);
        },
      });
    total('deepcache_unet_passes_total', 'Passes of U-Nets', () => engine.stats().passes);
    total('deepcache_unet_samples_total', 'Samples in the passes of U-Nets', () => engine.stats().samples);
    const ofDevices = (
      kind: typeof Gauge | typeof Counter,
      name: string,
      help: string,
      of: (device: EngineDevice) => number | undefined,
    ) =>
      new kind({
        ...{ name, help, registers, labelNames: ['device'] },
        collect(this: Gauge | Counter) {
          this.reset();
          for (const one of engine.devices?.() ?? []) {
            const value = of(one);
            if (value !== undefined) this.inc({ device: one.device }, value);
          }
        },
      });
    const free = 'Bytes that can still be allocated on a device';
    ofDevices(Gauge, 'deepcache_device_available_bytes', free, ({ available }) => available);
    ofDevices(
      Gauge,
      'deepcache_models_loaded',
      'Models that are loaded on a device',
      ({ models }) => models.length,
    );
    const busy = 'Time of the passes of U-Nets on a device';
    ofDevices(Counter, 'deepcache_unet_seconds_total', busy, ({ seconds }) => seconds);
    gauge('deepcache_queue_length', 'Jobs that wait', () => engine.stats().queued);
    gauge('deepcache_running', 'Jobs that run', () => engine.stats().running);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }

  /** @param seconds until the answer was sent. */
  request(method: string, route: string, status: number, seconds: number): void {
    this.#requests.observe({ method, route, status: `${Math.floor(status / 100)}xx` }, seconds);
  }

  event({ request }: JobRecord, event: ServedEvent): void {
    if (event.type === 'step') this.#calls.inc({ model: request.model, kind: event.kind });
  }

  end({ request, state, created, started, result }: JobRecord): void {
    const { model, task } = request;
    this.#jobs.inc({ model, task, state });
    if (started !== undefined) this.#wait.observe({ model }, (started - created) / 1000);
    if (!result) return;
    this.#pictures.inc({ model }, result.pictures.length);
    for (const [phase, seconds] of Object.entries(result.times))
      if (Number.isFinite(seconds)) this.#phases.observe({ model, phase }, seconds);
  }
}
