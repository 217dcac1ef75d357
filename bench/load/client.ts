// A process with the clients of bench/load.ts and bench/arrivals.ts: each hands in a job, follows its events to the end, fetches
// the picture, and does so again. Tells its parent that it is ready, and what came of each.
import { Agent, request } from 'node:http';
import { constants, setPriority } from 'node:os';
import { randomFrom } from '../serving/traces.js';

/** What clients do. */
export interface Orders {
  readonly base: string;
  /** How many there are at the same time; each has one request after the other. */
  readonly clients?: number;
  /** Instead: requests come at random, so many milliseconds from each other on average, whatever has become of those before. */
  readonly every?: number;
  readonly requests: number;
  /** Bodies of jobs, taken in turn. */
  readonly asks: readonly Readonly<Record<string, unknown>>[];
}

/** What came of a request. */
export interface Answered {
  /** Which of the bodies it had. */
  readonly ask: number;
  /** From sending to the last byte of the picture. */
  readonly milliseconds: number;
  /** Absent: all was well. */
  readonly wrong?: string;
}

setPriority(constants.priority.PRIORITY_LOW);
process.once('message', async (orders: Orders) => {
  const agent = new Agent({ keepAlive: true });
  let next = 0;
  const make = async () => {
    const ask = next++ % orders.asks.length;
    const start = performance.now();
    const wrong = await one(orders, ask, agent).then(
      () => undefined,
      (error: Error) => error.message,
    );
    const answered: Answered = { ask, milliseconds: performance.now() - start, ...(wrong && { wrong }) };
    process.send?.(answered);
  };
  const client = async () => {
    while (next < orders.requests) await make();
  };
  if (orders.every === undefined) await Promise.all(Array.from({ length: orders.clients ?? 1 }, client));
  else await arrive(orders.every, orders.requests, make);
  process.disconnect();
});
process.send?.('ready');

/** Arrivals of a Poisson process, the same ones each time. */
async function arrive(every: number, count: number, make: () => Promise<void>): Promise<void> {
  const random = randomFrom(7);
  const made: Promise<void>[] = [];
  let due = performance.now();
  for (let i = 0; i < count; i++) {
    due -= every * Math.log(1 - random());
    await new Promise((resolve) => setTimeout(resolve, due - performance.now()));
    made.push(make());
  }
  await Promise.all(made);
}

async function one({ base, asks }: Orders, ask: number, agent: Agent): Promise<void> {
  const events = await send(`${base}/api/jobs`, agent, JSON.stringify(asks[ask]));
  const done = /event: done\ndata: (.*)/.exec(events.toString())?.[1];
  if (done === undefined) throw new Error(`no end: ${events.toString().slice(-300)}`);
  const { images } = JSON.parse(done) as { images: { url: string }[] };
  for (const { url } of images) {
    const bytes = await send(url, agent);
    if (bytes.readUInt32BE(0) !== 0x89504e47) throw new Error('the picture is no PNG');
  }
}

function send(url: string, agent: Agent, body?: string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const headers =
      body === undefined ? {} : { 'content-type': 'application/json', accept: 'text/event-stream' };
    const sent = request(url, { agent, headers, method: body === undefined ? 'GET' : 'POST' }, (answer) => {
      const parts: Buffer[] = [];
      answer.on('data', (part) => parts.push(part));
      answer.on('error', reject);
      answer.on('end', () => {
        const all = Buffer.concat(parts);
        if ((answer.statusCode ?? 500) < 300) resolve(all);
        else reject(new Error(`${answer.statusCode}: ${all.toString().slice(0, 200)}`));
      });
    });
    sent.on('error', reject);
    sent.end(body);
  });
}
