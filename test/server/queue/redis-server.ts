import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe } from '@jest/globals';

/** Without redis-server these tests cannot run; where they must, they fail. */
const isThere = spawnSync('redis-server', ['--version']).status === 0;

/** `describe` for what needs redis-server. */
export function describeQueue(name: string, body: () => void): void {
  if (isThere || process.env.CI) return void describe(name, body);
  describe.skip(`${name} (redis-server is not installed: apt-get install redis-server)`, body);
}

/** A Redis of a test's own, which writes everything down before it answers. */
export class RedisServer {
  readonly #folder = mkdtempSync(join(tmpdir(), 'deepcache-redis-'));
  #process: ChildProcess | undefined;

  private constructor(readonly port: number) {}

  static async start(): Promise<RedisServer> {
    const server = new RedisServer(await freePort());
    await server.restart();
    return server;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
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
    const place = ['--port', String(this.port), '--bind', '127.0.0.1', '--dir', this.#folder];
    const memory = ['--appendonly', 'yes', '--appendfsync', 'always', '--save', ''];
    this.#process = spawn('redis-server', [...place, ...memory], { stdio: 'ignore' });
    const end = Date.now() + 20_000;
    while (!(await answers(this.port))) {
      if (Date.now() > end) throw new Error('redis-server does not answer');
      await sleep(20);
    }
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
function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\n'));
    const end = (isSo: boolean) => {
      socket.destroy();
      resolve(isSo);
    };
    socket.on('data', (data) => end(String(data).startsWith('+PONG')));
    socket.on('error', () => end(false));
  });
}
