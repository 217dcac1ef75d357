import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** A Redis of a test's own, which writes everything down before it answers. */
export class RedisServer {
  readonly #folder = mkdtempSync(join(tmpdir(), 'deepcache-redis-'));
  #process: ChildProcess | undefined;

  private constructor(
    readonly port: number,
    private readonly hosts: readonly string[],
    private readonly password: string | undefined,
  ) {}

  /** @param hosts addresses that it listens on besides 127.0.0.1; others than that need a password. */
  static async start(hosts: readonly string[] = [], password?: string): Promise<RedisServer> {
    const server = new RedisServer(await freePort(), ['127.0.0.1', ...hosts], password);
    await server.restart();
    return server;
  }

  get url(): string {
    return this.urlAt('127.0.0.1', this.port);
  }

  urlAt(host: string, port = this.port): string {
    return `redis://${this.password === undefined ? '' : `:${this.password}@`}${host}:${port}`;
  }

  /** As kill -9. */
  async kill(): Promise<void> {
    const process = this.#process;
    this.#process = undefined;
    if (!process || process.exitCode !== null) return;
    process.kill('SIGKILL');
    await once(process, 'exit');
  }

  /** Starts it with what it had written down. */
  async restart(): Promise<void> {
    const place = ['--port', String(this.port), '--bind', ...this.hosts, '--dir', this.#folder];
    const memory = ['--appendonly', 'yes', '--appendfsync', 'always', '--save', ''];
    this.#process = spawn('redis-server', [...place, ...memory, ...this.#secret()], { stdio: 'ignore' });
    const end = Date.now() + 20_000;
    while (!(await answers(this.port, this.password))) {
      if (Date.now() > end) throw new Error('redis-server does not answer');
      await sleep(20);
    }
  }

  #secret(): string[] {
    return this.password === undefined ? [] : ['--requirepass', this.password];
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

/** Whether it answers a ping, its log read. */
function answers(port: number, password: string | undefined): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () =>
      socket.write(`${password === undefined ? '' : `AUTH ${password}\r\n`}PING\r\n`),
    );
    const end = (isSo: boolean) => {
      socket.destroy();
      resolve(isSo);
    };
    let said = '';
    socket.on('data', (data) => {
      said += String(data);
      if (/PONG|LOADING|NOAUTH|WRONGPASS/.test(said)) end(said.includes('PONG'));
    });
    socket.on('close', () => end(false));
    socket.on('error', () => end(false));
  });
}
