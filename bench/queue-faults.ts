// npx tsx bench/queue-faults.ts [rounds] [folder]
//
// Faults of a queue while jobs run: two servers, three workers and a Redis, each a process of its own. In each round as many jobs
// as there are places run and wait, one thing goes wrong, and every job must end once, with the picture of a run without a
// fault. Writes its table to a folder (bench/results); fails where a job was lost, told twice, or made another picture.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { RedisServer } from '../test/server/queue/redis-server.js';
import { machine } from './measure.js';
import { Link, namespaceLine } from './queue-faults/line.js';
import { startFront, startWorker } from './queue-faults/machines.js';
import { clientOf, type Outcome } from './queue-faults/traffic.js';

const JOBS = 14;
const STEPS = 40;
const [rounds = 3] = process.argv.slice(2).map(Number);
const [, folder = 'bench/results'] = process.argv.slice(2);

const line = namespaceLine();
const redis = await RedisServer.start(line ? [line.host] : [], line && 'not-a-secret');
const client = new Redis(redis.url, { retryStrategy: () => 100 });
client.on('error', () => {});
const about = await client.info('server');
const field = (name: string) => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(about)?.[1];
/** Valkey calls itself by its name, and has the version of Redis that it answers like beside its own. */
const server =
  field('server_name') === 'valkey' ? `valkey ${field('valkey_version')}` : `redis ${field('redis_version')}`;
const slow = await Link.to(redis.port);
// The third worker is behind a line of its own, and a proxy where namespaces are not to be had.
const proxy = line ? undefined : await Link.to(redis.port);
const farUrl = line ? redis.urlAt(line.host) : redis.urlAt('127.0.0.1', proxy?.port);
const cut = () => (line ? line.cut() : proxy?.cut());
const mend = () => (line ? line.mend() : proxy?.mend());
const fronts = [await startFront(redis.url), await startFront(redis.url)];
const workers = [
  await startWorker(redis.url),
  await startWorker(redis.urlAt('127.0.0.1', slow.port)),
  await startWorker(farUrl, line?.command),
];
const bases = fronts.map(({ base }) => base);
const [front] = fronts as [(typeof fronts)[0]];
const [first] = workers as [(typeof workers)[0]];

/** What goes wrong, and how it is made good. */
const FAULTS: Readonly<Record<string, () => Promise<void>>> = {
  'no fault': async () => {},
  'a worker is killed (kill -9) and started again': async () => {
    await first.end('SIGKILL');
    await first.start();
  },
  'Redis is killed (kill -9) and started again from its log': async () => {
    await redis.kill();
    await sleep(1000);
    await redis.restart();
  },
  [`a worker's line is cut for 8 s, four times its lock (${line ? line.kind : 'proxy'})`]: async () => {
    cut();
    await sleep(8000);
    mend();
  },
  "a worker's line takes 150 ms each way (proxy)": async () => {
    slow.delay = 150;
    await sleep(4000);
    slow.delay = 0;
  },
  'all workers are restarted, one after the other (SIGTERM)': async () => {
    for (const worker of workers) {
      await worker.end('SIGTERM');
      await worker.start();
    }
  },
  'a server is killed (kill -9) and started again': async () => {
    await front.machine.end('SIGKILL');
    await front.machine.start();
  },
  'every third job is cancelled, at the other server': cancelSome,
  'everything at once: Redis, a worker and a server are killed, a line is cut': async () => {
    cut();
    await Promise.all([redis.kill(), first.end('SIGKILL'), front.machine.end('SIGKILL')]);
    await sleep(500);
    await redis.restart();
    await Promise.all([first.start(), front.machine.start()]);
    await sleep(3000);
    mend();
  },
};

const cancelled = new Set<string>();

async function cancelSome(): Promise<void> {
  const ids = await client.zrange('{deepcache}:leases', '0', '-1');
  const open = [...ids, ...(await client.zrange('{deepcache}:running', '0', '-1')), ...(await queued())];
  for (const [i, id] of [...new Set(open)].entries()) {
    if (i % 3 !== 0) continue;
    const { ok } = await fetch(`${bases[1]}/api/jobs/${id}`, { method: 'DELETE' });
    if (ok) cancelled.add(id);
  }
}

const queued = () => client.zrange('{deepcache}:queued', '0', '-1');

interface Row {
  times: number;
  jobs: number;
  done: number;
  begunAgain: number;
  cancelled: number;
  lost: number;
  twice: number;
  outOfOrder: number;
  otherPicture: number;
  /** Keys of pictures that belong to no job, locks and leases of none. */
  left: number;
}

const expected = new Map<number, string>();
const table: Record<string, Row> = {};

/** A round: jobs run and wait, the fault comes, all end. */
async function round(fault: string, make: () => Promise<void>): Promise<void> {
  const clients = Array.from({ length: JOBS }, (_, i) => clientOf(bases, i + 1, STEPS));
  const end = Date.now() + 60_000;
  while ((await client.zcard('{deepcache}:running').catch(() => 0)) < 6 && Date.now() < end) await sleep(20);
  await sleep(100);
  const [outcomes] = await Promise.all([Promise.all(clients), make()]);
  const row = table[fault] ?? {
    ...{ times: 0, jobs: 0, done: 0, begunAgain: 0, cancelled: 0, lost: 0, twice: 0, outOfOrder: 0 },
    ...{ otherPicture: 0, left: 0 },
  };
  table[fault] = row;
  row.times++;
  for (const outcome of outcomes) count(row, outcome);
  row.left += await leftOver(outcomes);
}

function count(row: Row, { id, seed, ends, inOrder, begun, picture }: Outcome): void {
  row.jobs++;
  const wanted = cancelled.has(id) ? /^(cancelled|done)$/ : /^done$/;
  if (ends.length === 0 || !wanted.test(ends[0] as string)) row.lost++;
  if (ends.length > 1) row.twice++;
  if (!inOrder) row.outOfOrder++;
  if (begun > 1) row.begunAgain++;
  if (ends[0] === 'cancelled') row.cancelled++;
  if (ends[0] !== 'done') return;
  row.done++;
  if (picture === undefined || (expected.get(seed) ?? picture) !== picture) row.otherPicture++;
  else expected.set(seed, picture);
}

/** Pictures of earlier rounds: one that came too late may be there for a moment, and is gone in a later round. */
let madeBefore = 0;

/** What Redis says of the jobs: what is there once too often, or not at all. */
async function leftOver(outcomes: readonly Outcome[]): Promise<number> {
  // A worker that was cut off still has to learn that it is too late.
  const end = Date.now() + 30_000;
  for (;;) {
    const problems = await look(outcomes);
    if (problems === 0 || Date.now() > end) {
      madeBefore += outcomes.filter(({ ends }) => ends[0] === 'done').length;
      return problems;
    }
    await sleep(250);
  }
}

async function look(outcomes: readonly Outcome[]): Promise<number> {
  let problems = 0;
  let pictures = 0;
  for (const { id } of outcomes) {
    const events = await client.xrange(`{deepcache}:events:${id}`, '-', '+');
    const ends = events.filter(([, [, text]]) => /"type":"(done|failed|cancelled)"/.test(text ?? ''));
    if (ends.length !== 1) problems++;
    if (ends[0]?.[1][1]?.includes('done')) pictures++;
  }
  const active = await client.llen('{deepcache}:run-tiny:active');
  const open = await client.keys('{deepcache}:open:*');
  const kept = (await client.keys('{deepcache}:picture:*')).length - madeBefore;
  return (
    problems +
    active +
    open.length +
    Math.abs(kept - pictures) +
    Number(await client.get('{deepcache}:bytes'))
  );
}

try {
  for (let i = 0; i < rounds; i++) {
    for (const [fault, make] of Object.entries(FAULTS)) {
      const start = Date.now();
      await round(fault, make);
      console.error(`${fault}: ${((Date.now() - start) / 1000).toFixed(0)} s`, JSON.stringify(table[fault]));
    }
  }
} finally {
  mend();
  for (const { machine: one } of fronts) await one.end('SIGKILL');
  for (const one of workers) await one.end('SIGKILL');
  client.disconnect();
  await redis.stop();
  for (const one of [slow, proxy, line]) one?.close();
}

const COLUMNS: readonly (keyof Row)[] = [
  ...(['times', 'jobs', 'done', 'begunAgain', 'cancelled', 'lost', 'twice', 'outOfOrder'] as const),
  ...(['otherPicture', 'left'] as const),
];
const HEAD =
  'fault | times | jobs | done | begun again | cancelled | lost | ended twice | events out of order | another picture | left over';
const lines = [
  `| ${HEAD} |`,
  `| --- |${' --- |'.repeat(COLUMNS.length)}`,
  ...Object.entries(table).map(
    ([fault, row]) => `| ${fault} | ${COLUMNS.map((name) => row[name]).join(' | ')} |`,
  ),
];
const report = { ...machine(), server, jobsAtOnce: JOBS, steps: STEPS, rounds, table };
const { date } = report;
const name = join(folder, `queue-faults-${server.split(' ')[0]}-${date.slice(0, 10)}`);
writeFileSync(`${name}.json`, `${JSON.stringify(report, null, 2)}\n`);
console.log(lines.join('\n'));
const wrong = Object.values(table).some(
  (row) => row.lost + row.twice + row.outOfOrder + row.otherPicture + row.left > 0,
);
if (wrong) process.exitCode = 1;
