import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Received, received } from '../../test/server/http/serving.js';

/** What became of a job, as its client saw it. */
export interface Outcome {
  readonly id: string;
  readonly seed: number;
  /** Events that end a job: one, if all is well. */
  readonly ends: readonly string[];
  /** Whether events came in their order, each once. */
  readonly inOrder: boolean;
  /** How often it was begun. */
  readonly begun: number;
  /** A digest of the picture's pixels in its file; undefined without one. */
  readonly picture: string | undefined;
}

/** Seconds after which a client gives up: its job is lost then. */
const PATIENCE = 180;

/**
 * A client as it should be: what it hands in has a key, so that it may be sent again; where a server does not answer it asks the next
 * one; and it goes on with the events where it has stopped.
 */
export async function clientOf(bases: readonly string[], seed: number, steps: number): Promise<Outcome> {
  const end = Date.now() + 1000 * PATIENCE;
  let turn = seed;
  const base = () => bases[turn++ % bases.length] as string;
  const body = { prompt: 'a red barn', steps, scheduler: 'DDIM', width: 96, height: 96, seed, detach: true };
  const key = randomUUID();
  const again = async <T>(work: () => Promise<T | undefined>): Promise<T | undefined> => {
    while (Date.now() < end) {
      const done = await work().catch(() => undefined);
      if (done !== undefined) return done;
      await sleep(100);
    }
    return undefined;
  };
  const id = await again(async () => {
    const answer = await fetch(`${base()}/api/jobs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': key },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(10_000),
    });
    if (!answer.ok) return undefined;
    return ((await answer.json()) as { id: string }).id;
  });
  if (id === undefined) return { id: '', seed, ends: [], inOrder: true, begun: 0, picture: undefined };
  const events: Received[] = [];
  const ends = () =>
    events.map(({ event }) => event).filter((event) => /^(done|failed|cancelled)$/.test(event));
  await again(async () => {
    const last = events.at(-1)?.id;
    const answer = await fetch(`${base()}/api/jobs/${id}/events`, {
      headers: last === undefined ? {} : { 'last-event-id': last },
      signal: AbortSignal.timeout(Math.max(1, end - Date.now())),
    });
    if (!answer.ok) return undefined;
    try {
      for await (const event of received(answer)) events.push(event);
    } catch {}
    return ends().length > 0 ? true : undefined;
  });
  const address = events.at(-1)?.data?.images?.[0]?.url as string | undefined;
  const picture =
    address &&
    (await again(async () => {
      const answer = await fetch(base() + new URL(address).pathname);
      if (!answer.ok) return undefined;
      return createHash('sha256')
        .update(new Uint8Array(await answer.arrayBuffer()))
        .digest('hex');
    }));
  return {
    ...{ id, seed, picture, ends: ends() },
    inOrder: events.every((event, i) => event.id === String(i)),
    begun: events.filter(({ event }) => event === 'started').length,
  };
}
