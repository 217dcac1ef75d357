import { ImageServer, type ServerOptions } from '../../../lib/server/http/index.js';
import { FakeEngine } from './fake-engine.js';

export { until } from '../../until.js';

/** A server on a free port of the loopback, in front of an engine that a test moves. */
export interface Serving {
  readonly engine: FakeEngine;
  readonly server: ImageServer;
  /** http://127.0.0.1:PORT */
  readonly base: string;
  readonly log: string[];
}

const open: ImageServer[] = [];

export async function serve(options: ServerOptions = {}): Promise<Serving> {
  const engine = new FakeEngine();
  const log: string[] = [];
  const server = await ImageServer.create(engine, {
    ...{ closeSeconds: 0, writeLog: (line: string) => void log.push(line) },
    ...options,
  });
  open.push(server);
  return { engine, server, log, base: await server.listen() };
}

/** Closes all servers of a test. */
export async function closeAll(): Promise<void> {
  await Promise.all(open.splice(0).map((server) => server.close()));
}

/** Posts JSON. */
export function post(url: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
}

interface Answer {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: what tests look at
  body: any;
  headers: Headers;
}

/** What a request answers: its status and its JSON. */
export async function answer(request: Promise<Response>): Promise<Answer> {
  const response = await request;
  const text = await response.text();
  return {
    status: response.status,
    body: text === '' ? undefined : JSON.parse(text),
    headers: response.headers,
  };
}

/** An event as it was sent. */
export interface Received {
  event: string;
  // biome-ignore lint/suspicious/noExplicitAny: what tests look at
  data: any;
  id: string | undefined;
}

/** The events of an answer, as they come. */
export async function* received(response: Response): AsyncGenerator<Received, void, void> {
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    text += decoder.decode(chunk, { stream: true });
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const lines = text.slice(0, end).split('\n');
      text = text.slice(end + 2);
      const field = (name: string) =>
        lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      const event = field('event');
      if (event !== undefined) yield { event, data: JSON.parse(field('data') ?? 'null'), id: field('id') };
    }
  }
}
