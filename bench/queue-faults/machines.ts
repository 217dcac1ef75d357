import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { TINY_MODEL } from '../measure.js';

/** A process of `deepcache serve` or `deepcache worker`. */
export class Machine {
  #process!: ChildProcess;
  #ended!: Promise<unknown>;

  private constructor(
    private readonly command: readonly string[],
    private readonly sign: string,
  ) {}

  static async start(command: readonly string[], sign: string): Promise<Machine> {
    const machine = new Machine(command, sign);
    await machine.start();
    return machine;
  }

  /** Starts it, or starts it anew. */
  async start(): Promise<void> {
    const [program = '', ...args] = this.command;
    // Thread counts and the like are given; the environment has nothing to say.
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#process = child;
    this.#ended = once(child, 'exit');
    let said = '';
    await new Promise<void>((resolve, reject) => {
      child.stderr?.on('data', (data) => {
        said = (said + String(data)).slice(-10_000);
        if (said.includes(this.sign)) resolve();
      });
      void this.#ended.then(() => reject(new Error(`${this.command.join(' ')} ended: ${said}`)));
    });
  }

  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) this.#process.kill(signal);
    await this.#ended;
  }
}

const PROGRAM = [process.execPath, '--import', 'tsx', 'lib/cli/main.ts'];

export function startWorker(url: string, before: readonly string[] = []): Promise<Machine> {
  const flags = ['--model', `tiny=${TINY_MODEL}`, '--device', 'cpu', '--threads', '1', '--max-running', '4'];
  const limits = ['--lock-seconds', '2', '--finish-seconds', '0', '--max-attempts', '10'];
  return Machine.start([...before, ...PROGRAM, 'worker', '--queue', url, ...flags, ...limits], 'works for');
}

/** A server, and where it is. */
export async function startFront(url: string): Promise<{ machine: Machine; base: string }> {
  const port = await freePort();
  const flags = ['--port', String(port), '--no-page', '--log-level', 'silent'];
  const machine = await Machine.start([...PROGRAM, 'serve', '--queue', url, ...flags], ' at http');
  return { machine, base: `http://127.0.0.1:${port}` };
}

/** One that a server has after its restart, too. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
