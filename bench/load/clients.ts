import { type ChildProcess, fork } from 'node:child_process';
import type { Answered, Orders } from './client.js';

/** A process of clients (client.ts) that has loaded its code. It ends with its work. */
export class Clients {
  private constructor(private readonly child: ChildProcess) {}

  static start(): Promise<Clients> {
    return new Promise((resolve, reject) => {
      // Clients are elsewhere: here they go behind the server, with all their work on the thread that says so.
      const execArgv = [...process.execArgv, '--v8-pool-size=0'];
      const child = fork(new URL('./client.ts', import.meta.url), { execArgv });
      child.once('message', () => resolve(new Clients(child)));
      child.once('error', reject);
      child.once('exit', (code) => reject(new Error(`the clients ended with ${code} before they began`)));
    });
  }

  /** Lets them work, and gives what came of each request. */
  work(orders: Orders, onAnswer: (count: number) => void = () => {}): Promise<Answered[]> {
    return new Promise((resolve, reject) => {
      const answered: Answered[] = [];
      this.child.on('message', (message: Answered) => {
        answered.push(message);
        onAnswer(answered.length);
      });
      this.child.on('error', reject);
      this.child.on('exit', () => {
        if (answered.length === orders.requests) resolve(answered);
        else reject(new Error(`${orders.requests - answered.length} requests have no answer`));
      });
      this.child.send(orders);
    });
  }
}

export function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] ?? Number.NaN;
}
