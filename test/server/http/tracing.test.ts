import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { context, trace } from '@opentelemetry/api';
import { ImageEngine } from '../../../lib/server/engine/index.js';
import { JobTrace } from '../../../lib/server/engine/job-trace.js';
import { ImageServer } from '../../../lib/server/http/index.js';
import { FOLDER } from '../../pipelines/tiny.js';
import { headers, PARENT, recordSpans, type Spans, type Told, TRACE } from '../spans.js';
import { answer, post, received, until } from './serving.js';

let recorded: Spans;
let engine: ImageEngine;
let server: ImageServer;
let base: string;
beforeAll(async () => {
  recorded = await recordSpans();
  engine = new ImageEngine({ models: { tiny: { model: FOLDER, device: 'cpu' } }, log: () => {} });
  server = await ImageServer.create(engine, { log: 'silent', closeSeconds: 5 });
  base = await server.listen();
});
beforeEach(() => recorded.forget());
afterAll(async () => {
  await server.close();
  recorded.end();
});

const spans = () => recorded.all();
const named = (name: string) => recorded.named(name);
const nanoseconds = ([seconds, rest]: readonly [number, number]) => seconds * 1e9 + rest;

test('a job is a part of the trace that its request names, and its phases are parts of it', async () => {
  const run = { prompt: 'a lighthouse', steps: 12, seed: 1, cache: 'balanced', numImages: 2 };
  const events = received(await post(`${base}/api/jobs`, run, { ...headers, accept: 'text/event-stream' }));
  for await (const _ of events);
  await until(() => named('job').length === 1);
  const [job] = named('job') as [Told];
  expect(job.spanContext().traceId).toBe(TRACE);
  expect(job.parentSpanContext?.spanId).toBe(PARENT);
  expect(job.attributes).toMatchObject({
    ...{ 'deepcache.model': 'tiny', 'deepcache.steps': 12, 'deepcache.calls': 13 },
    ...{ 'deepcache.cache': 'balanced', 'deepcache.task': 'text-to-image' },
  });
  const phases = spans().filter((span) => span !== job);
  expect(phases.map(({ name }) => name.replace('deepcache.', ''))).toEqual([
    ...['queue', 'prepare', 'encode', 'denoise', 'decode'],
  ]);
  for (const [i, phase] of phases.entries()) {
    expect(phase.parentSpanContext?.spanId).toBe(job.spanContext().spanId);
    expect(phase.attributes).toMatchObject({ 'deepcache.model': 'tiny', 'deepcache.steps': 12 });
    const next = phases[i + 1];
    if (next) expect(nanoseconds(phase.endTime)).toBeLessThanOrEqual(nanoseconds(next.startTime) + 1e6);
  }
  // Two pictures with guidance.
  expect(phases[3]?.attributes['deepcache.batch_size']).toBe(4);
});

test('the other APIs have it, too, and what is no trace is let pass', async () => {
  const body = { prompt: 'a', steps: 2, override_settings: {} };
  expect((await answer(post(`${base}/sdapi/v1/txt2img`, body, headers))).status).toBe(200);
  expect(named('job')[0]?.spanContext().traceId).toBe(TRACE);
  for (const traceparent of ['x', `00-${TRACE}-${PARENT}-01\u00ff`, '00-0-0-00', 'a'.repeat(5000)]) {
    recorded.forget();
    expect((await answer(post(`${base}/sdapi/v1/txt2img`, body, { traceparent }))).status).toBe(200);
    expect(named('job')[0]?.spanContext().traceId).not.toBe(TRACE);
  }
});

test('in one process the active span is the parent', async () => {
  const tracer = trace.getTracer('test');
  const own = tracer.startSpan('own');
  const request = {
    model: 'tiny',
    task: 'text-to-image',
    options: { prompt: 'a', steps: 4, seed: 1 },
  } as const;
  const jobs = await context.with(trace.setSpan(context.active(), own), () =>
    Promise.all([1, 2, 3, 4].map(() => engine.submit(request))),
  );
  await Promise.all(jobs.map(({ result }) => result));
  own.end();
  expect(named('job').map((span) => span.parentSpanContext?.spanId)).toEqual(
    Array(4).fill(own.spanContext().spanId),
  );
});

test('a batch is told by its samples, those of other jobs included', () => {
  const request = { model: 'tiny', task: 'text-to-image', options: { prompt: 'a' } } as const;
  const told = new JobTrace('one', request, { steps: 4, calls: 4 });
  told.begin('denoise');
  for (const samples of [2, 2, 6, 8]) told.ran(samples);
  told.end();
  expect(named('denoise')[0]?.attributes['deepcache.batch_size']).toBe(4.5);
});

test('a job that ends otherwise says so, and leaves no span open', async () => {
  const long = {
    model: 'tiny',
    task: 'text-to-image',
    options: { prompt: 'a', steps: 900, width: 256 },
  } as const;
  const job = await engine.submit(long);
  for await (const { type } of job.events()) if (type === 'step') job.cancel();
  await job.result.catch(() => {});
  const [one] = named('job') as [Told];
  expect(one.status.code).toBe(2);
  expect(spans().map(({ name }) => name)).toEqual([
    ...['deepcache.queue', 'deepcache.prepare', 'deepcache.encode', 'deepcache.denoise'],
    ...spans()
      .slice(4)
      .map(({ name }) => name),
  ]);
  expect(named('job')).toHaveLength(1);
});
