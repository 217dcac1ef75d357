import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { context, trace } from '@opentelemetry/api';
import { activeTrace } from '../../../lib/server/engine/job-trace.js';
import { aboutOf, readAbout } from '../../../lib/server/queue/codec.js';
import { answer, post, until } from '../http/serving.js';
import { headers, PARENT, recordSpans, type Spans, type Told, TRACE } from '../spans.js';
import { describeQueue } from './describe-queue.js';
import { front, worker } from './machines.js';
import { sharedRedis } from './shared-redis.js';

let recorded: Spans;
beforeAll(async () => {
  recorded = await recordSpans();
});
afterAll(() => recorded.end());

const RUN = { prompt: 'a red barn', steps: 3, scheduler: 'DDIM', seed: 3, detach: true } as const;

describeQueue('a trace', () => {
  const shared = sharedRedis();

  test('goes with the request to its worker, whose spans are parts of it', async () => {
    const { base } = await front(shared.server.url);
    await worker(shared.server.url);
    await until(async () => (await fetch(`${base}/readyz`)).status === 200);
    const state = { ...headers, tracestate: 'vendor=1' };
    const { status, body } = await answer(post(`${base}/api/jobs`, RUN, state));
    expect(status).toBe(201);
    await until(() => recorded.named('job').length === 1);
    const [job] = recorded.named('job') as [Told];
    expect([job.spanContext().traceId, job.parentSpanContext?.spanId]).toEqual([TRACE, PARENT]);
    const phases = recorded.all().filter((span) => span !== job);
    expect(phases.map(({ name }) => name.replace('deepcache.', ''))).toEqual([
      ...['queue', 'prepare', 'encode', 'denoise', 'decode'],
    ]);
    for (const phase of phases) expect(phase.parentSpanContext?.spanId).toBe(job.spanContext().spanId);
    const about = JSON.parse((await shared.client.hget(`{deepcache}:job:${body.id}`, 'about')) ?? '');
    expect(about.trace).toEqual(state);
  });

  test('is none where a request names none, or something else', async () => {
    const { base } = await front(shared.server.url);
    await worker(shared.server.url);
    await until(async () => (await fetch(`${base}/readyz`)).status === 200);
    for (const traceparent of [undefined, 'x', `00-${'0'.repeat(32)}-${PARENT}-01`]) {
      recorded.forget();
      await post(`${base}/api/jobs`, RUN, traceparent === undefined ? {} : { traceparent });
      await until(() => recorded.named('job').length === 1);
      expect(recorded.named('job')[0]?.parentSpanContext).toBeUndefined();
    }
  });
});

test('the active span goes with a request that names none', () => {
  const own = trace.getTracer('test').startSpan('own');
  const given = context.with(trace.setSpan(context.active(), own), activeTrace);
  own.end();
  const { traceId, spanId } = own.spanContext();
  expect(given).toEqual({ trace: { traceparent: `00-${traceId}-${spanId}-01` } });
  expect(activeTrace()).toEqual({});
  const about = { model: 'tiny', task: 'text-to-image', ...given } as const;
  expect(readAbout(aboutOf(about)).trace).toEqual(given.trace);
});

test('what Redis holds in its place is let pass', () => {
  const traceparent = headers.traceparent;
  for (const wrong of [7, 'x', null, [], {}, { traceparent: 7 }, { traceparent: `${traceparent}\n` }])
    expect(readAbout(JSON.stringify({ task: 'inpaint', trace: wrong }))).toEqual({ task: 'inpaint' });
  const long = { traceparent, tracestate: 'x'.repeat(600), other: 'y' };
  expect(readAbout(JSON.stringify({ task: 'inpaint', trace: long })).trace).toEqual({ traceparent });
});
