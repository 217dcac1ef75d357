import {
  type Attributes,
  type Context,
  context,
  propagation,
  type Span,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';
import type { JobRequest } from './job.js';

/** What continues the active span in another process; nothing where there is none. */
export function activeTrace(): Pick<JobRequest, 'trace'> {
  const carrier: Record<string, string> = {};
  propagation.inject(context.active(), carrier);
  const { traceparent, tracestate } = carrier;
  if (traceparent === undefined) return {};
  return { trace: { traceparent, ...(tracestate !== undefined && { tracestate }) } };
}

/** What a job does, one after the other; of two passes the last two come again. */
export type JobPhase = 'queue' | 'prepare' | 'encode' | 'denoise' | 'decode';

/**
 * The spans of a job: one from its acceptance to its end, and in it one for each phase. Where nobody has registered a tracer of
 * OpenTelemetry they are nothing, and cost nothing.
 */
export class JobTrace {
  readonly #tracer = trace.getTracer('deepcache');
  readonly #job: Span;
  readonly #inside: Context;
  readonly #attributes: Attributes;
  #phase: { readonly name: JobPhase; readonly span: Span } | undefined;
  #passes = 0;
  #samples = 0;

  /**
   * @param id of the job.
   * @param steps of its sampler, and calls of the U-Net.
   */
  constructor(
    id: string,
    { model, task, options, trace: given }: JobRequest,
    { steps, calls }: { readonly steps: number; readonly calls: number },
  ) {
    const { cache = false } = options;
    this.#attributes = {
      'deepcache.model': model,
      'deepcache.steps': steps,
      'deepcache.cache': typeof cache === 'string' ? cache : JSON.stringify(cache),
    };
    const own = { 'deepcache.job.id': id, 'deepcache.task': task, 'deepcache.calls': calls };
    const attributes = { ...this.#attributes, ...own };
    const outside = given ? propagation.extract(context.active(), given) : context.active();
    this.#job = this.#tracer.startSpan('deepcache.job', { attributes }, outside);
    this.#inside = trace.setSpan(outside, this.#job);
    this.begin('queue');
  }

  /** Ends the phase before. */
  begin(name: JobPhase): void {
    this.#endPhase();
    const span = this.#tracer.startSpan(`deepcache.${name}`, { attributes: this.#attributes }, this.#inside);
    this.#phase = { name, span };
    this.#passes = 0;
    this.#samples = 0;
  }

  /** A call was made, in a pass of so many samples. */
  ran(samples: number): void {
    this.#passes++;
    this.#samples += samples;
  }

  /** @param error what it failed of, or was cancelled by. */
  end(error?: Error): void {
    if (error) {
      this.#phase?.span.setStatus({ code: SpanStatusCode.ERROR });
      this.#job.recordException(error);
      this.#job.setStatus({ code: SpanStatusCode.ERROR, message: error.message });
    }
    this.#endPhase();
    this.#job.end();
  }

  #endPhase(): void {
    const { name, span } = this.#phase ?? {};
    // How many samples its passes had on average, those of other jobs included.
    if (name === 'denoise' && this.#passes > 0)
      span?.setAttribute('deepcache.batch_size', this.#samples / this.#passes);
    span?.end();
    this.#phase = undefined;
  }
}
