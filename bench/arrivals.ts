// npx tsx bench/arrivals.ts [--demo] [--requests N] [--load SHARE]
//
// A server on the loopback to which jobs come at random, as many as keep it busy for a share of the time if they were done one
// after the other: how much longer than alone they take, by each policy. bench/load.ts has clients that wait for their answers,
// so that there is always more to do than can be done; here a queue is short or empty, as it is for people. Prints Markdown, and
// JSON behind it.

import { parseArgs } from 'node:util';
import { ImageEngine, ImageServer } from '../lib/entries/server.js';
import { POLICIES, type Policy } from '../lib/server/engine/schedule/scheduler.js';
import type { Answered } from './load/client.js';
import { Clients, percentile } from './load/clients.js';
import { machine, median, TINY_MODEL } from './measure.js';

const { values } = parseArgs({
  options: {
    demo: { type: 'boolean', default: false },
    requests: { type: 'string', default: '300' },
    load: { type: 'string', default: '0.8' },
    policy: { type: 'string', multiple: true, default: [...POLICIES] },
  },
});
const [requests, load] = [Number(values.requests), Number(values.load)];
const model = values.demo ? 'demo' : TINY_MODEL;
/** As those of bench/load.ts. */
const STEPS = values.demo ? [10, 25, 50] : [10, 50, 150];
const asks = [0, 1, 2, 1, 0, 1, 2, 0, 1, 2].map((kind, i) => ({
  ...{ prompt: 'a red circle', seed: i, steps: STEPS[kind], scheduler: 'DDIM' },
  ...(i % 2 === 0 && { cache: { interval: 3 } }),
}));
/** Of the three kinds: how many times as long as alone. */
type Slowdowns = readonly number[][];

async function withServer<T>(policy: Policy, use: (base: string) => Promise<T>): Promise<T> {
  const engine = new ImageEngine({ models: { m: model }, policy, maxQueued: 1000, log: () => {} });
  const server = await ImageServer.create(engine, {
    log: 'silent',
    requestsPerMinute: 1_000_000,
    keepSeconds: 10,
  });
  try {
    const base = await server.listen();
    // It loads the model, and learns what passes cost.
    await (await Clients.start()).work({ base, asks, requests: asks.length });
    return await use(base);
  } finally {
    await server.close();
  }
}

/** Milliseconds of each request alone: the median of three. */
async function timesAlone(): Promise<number[]> {
  const answered = await withServer('aligned', async (base) =>
    (await Clients.start()).work({ base, asks, requests: 3 * asks.length }),
  );
  return asks.map((_, i) =>
    median(answered.filter(({ ask }) => ask === i).map(({ milliseconds }) => milliseconds)),
  );
}

function slowdownsOf(answered: readonly Answered[], alone: readonly number[]): Slowdowns {
  return STEPS.map((steps) =>
    answered
      .filter(({ ask, wrong }) => wrong === undefined && asks[ask]?.steps === steps)
      .map(({ ask, milliseconds }) => milliseconds / (alone[ask] as number)),
  );
}

const alone = await timesAlone();
const every = alone.reduce((sum, one) => sum + one, 0) / alone.length / load;
const outcomes: { policy: Policy; lost: number; slowdowns: { p50: number; p95: number; p99: number }[] }[] =
  [];
for (const policy of values.policy as Policy[]) {
  const answered = await withServer(policy, async (base) =>
    (await Clients.start()).work({ base, asks, requests, every }),
  );
  const lost = answered.filter(({ wrong }) => wrong !== undefined).length;
  const round = (value: number) => Number(value.toFixed(2));
  const slowdowns = slowdownsOf(answered, alone).map((kind) => {
    const [p50, p95, p99] = [50, 95, 99].map((percent) => round(percentile(kind, percent)));
    return { p50, p95, p99 } as { p50: number; p95: number; p99: number };
  });
  outcomes.push({ policy, lost, slowdowns });
}

const cells = ({ policy, slowdowns, lost }: (typeof outcomes)[number]) =>
  [policy, ...slowdowns.map(({ p50, p95, p99 }) => `${p50}, ${p95}, ${p99}`), lost].join(' | ');
console.log(`# Jobs that come at random at ${load} of what can be done: ${values.demo ? 'the demo model' : 'the tiny model of the tests'}

${requests} jobs, one each ${every.toFixed(0)} ms. Alone they take ${alone.map((one) => one.toFixed(0)).join(', ')} ms. Times as long as alone, p50, p95 and p99:

| policy | ${STEPS.map((steps) => `${steps} steps`).join(' | ')} | lost |
|---|---|---|---|---|
${outcomes.map((outcome) => `| ${cells(outcome)} |`).join('\n')}
`);
console.log(JSON.stringify({ ...machine(), model, load, requests, every, alone, outcomes }, null, 2));
if (outcomes.some(({ lost }) => lost > 0)) process.exitCode = 1;
