import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export const COMMIT = 'c0ffee'.padEnd(40, '0');

/** A model as the server has it: the bytes of its files. */
export type Files = Record<string, Buffer>;

export interface Request {
  readonly path: string;
  readonly range: string | undefined;
  readonly token: string | undefined;
}

/** Answers itself, and says so by true. */
type Answer = (request: Request, response: ServerResponse) => boolean;

/**
 * A Hugging Face Hub on the loopback interface, of the endpoints that its library calls: a model's commit, its list of
 * files in pages, and its files, of which large ones lead to a second server, as on the real one.
 */
export class HubServer {
  readonly requests: Request[] = [];
  /** What is asked first. */
  answer: Answer = () => false;
  commit: unknown = COMMIT;
  /** What the list says of a file besides the truth. */
  listed: (path: string) => object = () => ({});
  pageSize = 1000;
  readonly #hub: Server;
  readonly #store: Server;

  constructor(readonly models: Record<string, Files>) {
    this.#hub = createServer((request, response) => this.#serve(request, response));
    this.#store = createServer((request, response) => this.#serve(request, response));
  }

  async start(): Promise<string> {
    for (const server of [this.#hub, this.#store]) {
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
    }
    return addressOf(this.#hub);
  }

  async stop(): Promise<void> {
    for (const server of [this.#hub, this.#store]) {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    }
  }

  /** Of the second server. */
  get storeUrl(): string {
    return addressOf(this.#store);
  }

  /** Paths of the model's files that were asked for. */
  get loaded(): string[] {
    const paths = this.requests.flatMap(({ path }) => /\/resolve\/[^/]+\/(.+)$/.exec(path)?.[1] ?? []);
    return [...new Set(paths)].sort();
  }

  #serve(incoming: IncomingMessage, response: ServerResponse): void {
    const url = new URL(incoming.url ?? '/', addressOf(this.#hub));
    const request = {
      path: decodeURIComponent(url.pathname),
      range: incoming.headers.range,
      token: incoming.headers.authorization,
    };
    this.requests.push(request);
    if (this.answer(request, response)) return;
    const found = /^\/(?:(api\/models|store)\/)?([^/]+\/[^/]+)\/(.*)$/.exec(request.path) ?? [];
    const [, kind, name = '', rest = ''] = found;
    const files = this.models[name];
    if (!files) fail(response, 404, 'RepoNotFound');
    else if (kind === 'api/models') this.#describe(files, rest, url, response);
    else this.#send(name, files, rest, request.range, response, kind === 'store');
  }

  #describe(files: Files, rest: string, url: URL, response: ServerResponse): void {
    const [what, revision = ''] = rest.split(/\/(.*)/);
    if (revision !== 'main' && revision !== this.commit) {
      fail(response, 404, 'RevisionNotFound');
      return;
    }
    if (what === 'revision') {
      json(response, { _id: '1', id: 'x', sha: this.commit, lastModified: 0 });
      return;
    }
    const folders = Object.keys(files).flatMap((path) => /^(.*)\//.exec(path)?.[1] ?? []);
    const all: object[] = [
      ...[...new Set(folders)].map((path) => ({ type: 'directory', path, size: 0, oid: '0'.repeat(40) })),
      ...Object.entries(files).map(([path, bytes]) => ({ ...entryOf(path, bytes), ...this.listed(path) })),
    ];
    const start = Number(url.searchParams.get('cursor') ?? 0);
    const next = start + this.pageSize;
    if (next < all.length) {
      url.searchParams.set('cursor', String(next));
      response.setHeader('link', `<${url.href}>; rel="next"`);
    }
    json(response, all.slice(start, next));
  }

  #send(
    name: string,
    files: Files,
    rest: string,
    range: string | undefined,
    response: ServerResponse,
    isStore: boolean,
  ): void {
    const path = rest.replace(/^resolve\/[^/]+\//, '');
    const bytes = files[path];
    if (!bytes) {
      fail(response, 404, 'EntryNotFound');
      return;
    }
    if (isLarge(path) && !isStore) {
      response.writeHead(302, { location: `${addressOf(this.#store)}/store/${name}/${path}` }).end();
      return;
    }
    const first = firstOf(range);
    if (range !== undefined) {
      response.statusCode = 206;
      response.setHeader('content-range', `bytes ${first}-${bytes.length - 1}/${bytes.length}`);
    }
    response.end(bytes.subarray(first));
  }
}

function addressOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function isLarge(path: string): boolean {
  return /\.(safetensors|bin|ckpt)$/.test(path);
}

function entryOf(path: string, bytes: Buffer): object {
  const oid = createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
  const lfs = {
    oid: createHash('sha256').update(bytes).digest('hex'),
    size: bytes.length,
    pointerSize: 134,
  };
  return { type: 'file', path, size: bytes.length, oid, ...(isLarge(path) && { lfs }) };
}

/** The first byte that a range asks for. */
export function firstOf(range: string | undefined): number {
  return Number(/^bytes=(\d+)-/.exec(range ?? '')?.[1] ?? 0);
}

export function fail(response: ServerResponse, status: number, kind?: string, headers: object = {}): void {
  response.writeHead(status, { ...(kind && { 'x-error-code': kind }), ...headers }).end('{"error":"no"}');
}

function json(response: ServerResponse, value: unknown): void {
  response.setHeader('content-type', 'application/json').end(JSON.stringify(value));
}

/** Sends so many bytes of a longer answer, then breaks the connection. */
export function breakAfter(response: ServerResponse, bytes: Buffer, from: number, count: number): void {
  response.writeHead(from > 0 ? 206 : 200, { 'content-length': bytes.length - from });
  response.write(bytes.subarray(from, from + count), () => response.destroy());
}
