// A process with the clients of bench/load.ts: each hands in a job, follows its events to the end, fetches the picture, and
// does so again. Tells its parent what came of each.
import { Agent, request } from 'node:http';

/** What clients do. */
export interface Orders {
  readonly base: string;
  readonly clients: number;
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

process.once('message', async (orders: Orders) => {
  const agent = new Agent({ keepAlive: true });
  let next = 0;
  const client = async () => {
    while (next < orders.requests) {
      const ask = next++ % orders.asks.length;
      const start = performance.now();
      const wrong = await one(orders, ask, agent).then(
        () => undefined,
        (error: Error) => error.message,
      );
      const answered: Answered = { ask, milliseconds: performance.now() - start, ...(wrong && { wrong }) };
      process.send?.(answered);
    }
  };
  await Promise.all(Array.from({ length: orders.clients }, client));
  process.disconnect();
});

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
