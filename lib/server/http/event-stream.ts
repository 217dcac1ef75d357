import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import { RequestError } from './errors.js';

/** Milliseconds between comments that keep proxies from closing a quiet connection. */
const HEARTBEAT = 15_000;

/** A server-sent event. */
export interface SentEvent {
  readonly event: string;
  readonly data: object;
  /** What a client that connects again says that it has seen. */
  readonly id?: number;
}

/** Aborts when the client has gone, or the answer is complete; what it is thrown for then is no failure of the server. */
export function gone({ raw, request }: FastifyReply): AbortSignal {
  const controller = new AbortController();
  const end = () => controller.abort(new RequestError(499, 'gone', 'the client has gone'));
  if (raw.destroyed || request.raw.socket.destroyed) end();
  else raw.once('close', end);
  return controller.signal;
}

/**
 * Answers with events as they come (text/event-stream of the HTML standard). A client that reads slowly slows the
 * iteration down, and holds no memory; when it has gone, the iteration is ended.
 */
export function sendEvents(reply: FastifyReply, events: AsyncIterable<SentEvent>): FastifyReply {
  const stop = gone(reply);
  return reply
    .headers({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache, no-transform',
      // nginx would collect them.
      'x-accel-buffering': 'no',
    })
    .send(Readable.from(textOf(events, stop), { objectMode: false }));
}

async function* textOf(
  events: AsyncIterable<SentEvent>,
  stop: AbortSignal,
): AsyncGenerator<Buffer, void, void> {
  // So that headers go at once.
  yield Buffer.from(': events\n\n');
  for await (const event of withPauses(events, stop)) {
    const { event: name, data, id } = event ?? {};
    const lines = [
      ...(id === undefined ? [] : [`id: ${id}`]),
      // JSON has no line feeds of its own.
      ...(event ? [`event: ${name}`, `data: ${JSON.stringify(data)}`] : [': still here']),
    ];
    yield Buffer.from(`${lines.join('\n')}\n\n`);
  }
}

/** What comes, undefined where nothing came for a while, until the signal aborts. */
async function* withPauses<T>(events: AsyncIterable<T>, stop: AbortSignal): AsyncGenerator<T | undefined> {
  const iterator = events[Symbol.asyncIterator]();
  let pause: NodeJS.Timeout | undefined;
  let wake = () => {};
  stop.addEventListener('abort', () => wake(), { once: true });
  try {
    let next = iterator.next();
    while (!stop.aborted) {
      const silence = new Promise<undefined>((resolve) => {
        wake = () => resolve(undefined);
        pause = setTimeout(wake, HEARTBEAT);
        pause.unref();
      });
      const result = await Promise.race([next, silence]);
      clearTimeout(pause);
      if (stop.aborted) return;
      if (result?.done) return;
      yield result?.value;
      if (result) next = iterator.next();
    }
  } finally {
    clearTimeout(pause);
    // Not waited for: it may be waiting itself.
    void iterator.return?.(undefined);
  }
}
