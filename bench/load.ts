// npx tsx bench/load.ts [--demo] [--requests N] [--clients N] [--long N]
//
// A server on the loopback under load: clients in a process of their own hand in jobs of mixed steps, one after the other
// each, by two policies in turn; how many are done in a second, how long short ones take against alone, whether any is lost, how late
// the event loop is, and whether memory grows over many requests (--long). Prints Markdown, and JSON behind it. On the
// tiny model of the tests, or the demo model.

import { monitorEventLoopDelay } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { ImageEngine, ImageServer } from '../lib/entries/server.js';
import type { Policy } from '../lib/server/engine/schedule/scheduler.js';
import { Clients, percentile } from './load/clients.js';
import { machine, mebibytes, TINY_MODEL } from './measure.js';

/** Milliseconds between two looks at the clock. */
const RESOLUTION = 1;
const { values } = parseArgs({
  options: {
    demo: { type: 'boolean', default: false },
    requests: { type: 'string', default: '256' },
    clients: { type: 'string', default: '64' },
    long: { type: 'string', default: '0' },
  },
});
const model = values.demo ? 'demo' : TINY_MODEL;
const prompt = 'a red circle';
/** Three short ones, four of the middle and three long, two of them with a cache. */
const STEPS = values.demo ? [10, 25, 50] : [10, 50, 150];
const asks = [0, 1, 2, 1, 0, 1, 2, 0, 1, 2].map((kind, i) => ({
  ...{ prompt, seed: i, steps: STEPS[kind], scheduler: 'DDIM' },
  ...(i % 2 === 0 && { cache: { interval: 3 } }),
}));
const isShort = (ask: number) => asks[ask]?.steps === STEPS[0];

interface Outcome {
  readonly policy: Policy;
  readonly seconds: number;
  readonly perSecond: number;
  readonly lost: readonly string[];
  readonly loneShort: number;
  readonly shortP99: number;
  readonly p50: number;
  readonly p99: number;
  /** Samples of an average pass. */
  readonly samples: number;
  readonly late: { readonly p50: number; readonly p99: number; readonly max: number };
  /** MiB after a tenth of the requests, half and all of them. */
  readonly rss: readonly number[];
}

async function run(policy: Policy, requests: number, only?: typeof asks): Promise<Outcome> {
  const engine = new ImageEngine({
    ...{ models: { m: model }, policy, maxQueued: 1000, log: () => {} },
    maxRunning: 8,
  });
  const server = await ImageServer.create(engine, {
    log: 'silent',
    requestsPerMinute: 1_000_000,
    keepSeconds: 10,
  });
  const base = await server.listen();
  const all = only ?? asks;
  const shorts = all.filter(({ steps }) => steps === STEPS[0]);
  const order = { base, asks: all };
  const one = { ...order, clients: 1 };
  // It loads the model, and learns what passes cost.
  await (await Clients.start()).work({ ...one, requests: 4 });
  const alone = await (await Clients.start()).work({ ...one, asks: shorts, requests: 12 });
  const lone = alone.map(({ milliseconds }) => milliseconds);
  // Before the clock starts: a process that begins wants a core, too.
  const clients = await Clients.start();
  const before = engine.stats();
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION });
  const rss: number[] = [];
  const start = performance.now();
  delay.enable();
  const answered = await clients.work({ ...order, clients: Number(values.clients), requests }, (count) => {
    if ([0.1, 0.5, 1].some((share) => count === Math.round(share * requests)))
      rss.push(mebibytes(process.memoryUsage.rss()));
  });
  delay.disable();
  const seconds = (performance.now() - start) / 1000;
  const after = engine.stats();
  await server.close();
  const late = (nanoseconds: number) => Number(Math.max(0, nanoseconds / 1e6 - RESOLUTION).toFixed(2));
  const well = answered.filter(({ wrong }) => wrong === undefined);
  const times = well.map((one) => one.milliseconds);
  return {
    ...{ policy, seconds, perSecond: well.length / seconds, rss },
    lost: answered.flatMap(({ wrong }) => wrong ?? []),
    loneShort: percentile(lone, 50),
    shortP99: percentile(
      well.filter(({ ask }) => isShort(ask)).map((one) => one.milliseconds),
      99,
    ),
    ...{ p50: percentile(times, 50), p99: percentile(times, 99) },
    samples: (after.samples - before.samples) / (after.passes - before.passes),
    late: { p50: late(delay.percentile(50)), p99: late(delay.percentile(99)), max: late(delay.max) },
  };
}

const requests = Number(values.requests);
const outcomes: Outcome[] = [];
for (const policy of ['serial', 'aligned'] as const) outcomes.push(await run(policy, requests));
const [serial, aligned] = outcomes as [Outcome, Outcome];
const long =
  Number(values.long) > 0
    ? await run('aligned', Number(values.long), [{ ...asks[0], steps: 2 } as never])
    : undefined;
const ms = (milliseconds: number) => milliseconds.toFixed(0);
console.log(`# A server under load: ${model === 'demo' ? 'the demo model' : 'the tiny model of the tests'}

${values.clients} clients, ${requests} jobs of ${STEPS.join(', ')} steps by each policy, 8 places.

| policy | jobs a second | p50 ms | p99 ms | short p99 ms | a short one alone ms | samples of a pass | event loop late p50, p99, max ms | lost |
|---|---|---|---|---|---|---|---|---|
${outcomes
  .map(
    ({ policy, perSecond, p50, p99, shortP99, loneShort, samples, late, lost }) =>
      `| ${policy} | ${perSecond.toFixed(2)} | ${ms(p50)} | ${ms(p99)} | ${ms(shortP99)} | ${ms(loneShort)} | ${samples.toFixed(1)} | ${late.p50}, ${late.p99}, ${late.max} | ${lost.length} |`,
  )
  .join('\n')}

Jobs a second against one after the other: ${(aligned.perSecond / serial.perSecond).toFixed(2)}x (goal 1.5x).
p99 of short jobs against alone: ${(aligned.shortP99 / aligned.loneShort).toFixed(1)}x; one after the other ${(serial.shortP99 / serial.loneShort).toFixed(1)}x (goal 2x).
${
  long
    ? `\n${values.long} requests of 2 steps: ${long.perSecond.toFixed(1)} a second, ${long.lost.length} lost, event loop late p99 ${long.late.p99} ms; memory after a tenth, half and all of them: ${long.rss.map((one) => one.toFixed(0)).join(', ')} MiB.`
    : ''
}
`);
console.log(
  JSON.stringify({ ...machine(), model, clients: Number(values.clients), requests, outcomes, long }, null, 2),
);
if ([...outcomes, ...(long ? [long] : [])].some(({ lost }) => lost.length > 0)) process.exitCode = 1;
