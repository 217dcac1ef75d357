import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../../until.js';

/** Below those that systems give out by themselves: nobody gets a port while its server is away. */
const PORTS = [10_000, 30_000] as const;
/** Servers that are started before it is not for the port. */
const TRIES = 10;

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
    for (let i = 1; ; i++) {
      const server = new RedisServer(randomInt(...PORTS), ['127.0.0.1', ...hosts], password);
      try {
        await server.restart();
        return server;
      } catch (error) {
        await server.stop();
        if (i === TRIES) throw error;
      }
    }
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
    const child = spawn('redis-server', [...place, ...memory, ...this.#secret()], { stdio: 'ignore' });
    this.#process = child;
    await until(() => {
      if (child.exitCode !== null) throw new Error(`redis-server ended with ${child.exitCode}`);
      return answers(this.port, this.password, child.pid);
    });
  }

  #secret(): string[] {
    return this.password === undefined ? [] : ['--requirepass', this.password];
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Whether it answers a ping, its log read; another one on its port does not count. */
function answers(port: number, password: string | undefined, pid: number | undefined): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () =>
      socket.write(`${password === undefined ? '' : `AUTH ${password}\r\n`}PING\r\nINFO server\r\n`),
    );
    const end = (isSo: boolean) => {
      socket.destroy();
      resolve(isSo);
    };
    let said = '';
    socket.on('data', (data) => {
      said += String(data);
      const [, process] = /process_id:(\d+)\r/.exec(said) ?? [];
      if (/LOADING|NOAUTH|WRONGPASS/.test(said)) end(false);
      else if (said.includes('PONG') && process !== undefined) end(Number(process) === pid);
    });
    socket.on('close', () => end(false));
    socket.on('error', () => end(false));
  });
}
