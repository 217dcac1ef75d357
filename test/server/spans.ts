import { context, propagation, type SpanStatusCode, trace } from '@opentelemetry/api';

// Spans as an application sees them that has OpenTelemetry's SDK.

/** What tests look at of a span. */
export interface Told {
  readonly name: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly status: { readonly code: SpanStatusCode };
  readonly startTime: readonly [number, number];
  readonly endTime: readonly [number, number];
  readonly parentSpanContext?: { readonly spanId: string };
  spanContext(): { readonly traceId: string; readonly spanId: string };
}

/** The spans that ended since they were last forgotten. */
export interface Spans {
  all(): readonly Told[];
  /** Those of ours: `deepcache.NAME`. */
  named(name: string): Told[];
  forget(): void;
  /** Takes the SDK away again. */
  end(): void;
}

/** Registers OpenTelemetry's SDK with this process. */
export async function recordSpans(): Promise<Spans> {
  const sdk = await import('@opentelemetry/sdk-trace-base' as string);
  const { AsyncLocalStorageContextManager } = await import('@opentelemetry/context-async-hooks' as string);
  const { W3CTraceContextPropagator } = await import('@opentelemetry/core' as string);
  const exporter = new sdk.InMemorySpanExporter();
  const spanProcessors = [new sdk.SimpleSpanProcessor(exporter)];
  trace.setGlobalTracerProvider(new sdk.BasicTracerProvider({ spanProcessors }));
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  const all = () => exporter.getFinishedSpans() as readonly Told[];
  return {
    all,
    named: (name) => all().filter((span) => span.name === `deepcache.${name}`),
    forget: () => exporter.reset(),
    end: () => {
      for (const api of [trace, context, propagation]) api.disable();
    },
  };
}

/** A trace that somebody else has begun, and its span. */
export const TRACE = '0af7651916cd43dd8448eb211c80319c';
export const PARENT = 'b7ad6b7169203331';
export const headers = { traceparent: `00-${TRACE}-${PARENT}-01` };
