import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../../until.js';

/** Below those that systems give out by themselves: nobody gets a port while its server is away. */
const PORTS = [10_000, 30_000] as const;
/** Servers that are started before it is not for the port. */
const TRIES = 10;

/** What it is besides a server of its own. */
export interface RedisRole {
  /** The port of a server that it is a replica of. */
  readonly replicaOf?: number;
  /** A Sentinel, the port of a server that it watches as `queue`. */
  readonly watches?: number;
  /** A node of a cluster that has got no keys. */
  readonly inCluster?: boolean;
}

/** A Redis of a test's own, which writes everything down before it answers. */
export class RedisServer {
  readonly #folder = mkdtempSync(join(tmpdir(), 'deepcache-redis-'));
  #process: ChildProcess | undefined;

  private constructor(
    readonly port: number,
    private readonly hosts: readonly string[],
    private readonly password: string | undefined,
    private readonly of: RedisRole,
  ) {}

  /**
   * @param hosts addresses that it listens on besides 127.0.0.1; others than that need a password.
   */
  static async start(
    hosts: readonly string[] = [],
    password?: string,
    of: RedisRole = {},
  ): Promise<RedisServer> {
    for (let i = 1; ; i++) {
      const server = new RedisServer(randomInt(...PORTS), ['127.0.0.1', ...hosts], password, of);
      try {
        await server.restart();
        return server;
      } catch (error) {
        await server.stop();
        if (i === TRIES) throw error;
      }
    }
  }

  /** The file by which processes of this machine reach it. */
  get socket(): string {
    return join(this.#folder, 'redis.sock');
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
    const child = spawn('redis-server', this.#args(), { stdio: 'ignore' });
    this.#process = child;
    await until(() => {
      if (child.exitCode !== null) throw new Error(`redis-server ended with ${child.exitCode}`);
      return answers(this.port, this.password, child.pid);
    });
  }

  #args(): string[] {
    const { port, hosts, password, of } = this;
    if (of.watches !== undefined) {
      // It writes down there what it learns.
      const file = join(this.#folder, 'sentinel.conf');
      const watch = [
        `monitor queue 127.0.0.1 ${of.watches} 1`,
        'down-after-milliseconds queue 1000',
        'failover-timeout queue 5000',
      ];
      const lines = [`port ${port}`, `dir ${this.#folder}`, ...watch.map((line) => `sentinel ${line}`)];
      writeFileSync(file, `${lines.join('\n')}\n`);
      return [file, '--sentinel'];
    }
    return [
      ...['--port', String(port), '--bind', ...hosts, '--dir', this.#folder],
      ...['--unixsocket', this.socket],
      ...(of.inCluster ? ['--cluster-enabled', 'yes'] : []),
      ...['--appendonly', 'yes', '--appendfsync', 'always', '--save', ''],
      ...(password === undefined ? [] : ['--requirepass', password]),
      ...(of.replicaOf === undefined ? [] : ['--replicaof', '127.0.0.1', String(of.replicaOf)]),
    ];
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
