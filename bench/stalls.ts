import { closeSync, openSync, readSync } from 'node:fs';

/** Milliseconds between two looks. */
const RESOLUTION = 1;

/** How long the event loop was kept from its work, in milliseconds. */
export interface Stalls {
  looks: number;
  p99: number;
  max: number;
  /** By this thread's own work. The rest of a stall is others' on a machine that is busy: the system let them go first. */
  own: { p99: number; max: number };
}

/** Looks every millisecond how late it is, and how much of that this thread has computed. Linux tells the latter. */
export async function stallsOf(work: () => Promise<unknown>): Promise<Stalls> {
  const clock = new ThreadClock();
  const late: number[] = [];
  const own: number[] = [];
  let [wall, computed] = [performance.now(), clock.milliseconds()];
  const timer = setInterval(() => {
    const [now, sum] = [performance.now(), clock.milliseconds()];
    const stall = Math.max(0, now - wall - RESOLUTION);
    late.push(stall);
    own.push(Math.min(stall, Math.max(0, sum - computed - RESOLUTION)));
    [wall, computed] = [now, sum];
  }, RESOLUTION);
  try {
    await work();
    // What is behind the work is seen too.
    await new Promise((resolve) => setTimeout(resolve, 20));
  } finally {
    clearInterval(timer);
    clock.close();
  }
  return { looks: late.length, ...summary(late), own: summary(own) };
}

function summary(values: number[]): { p99: number; max: number } {
  const sorted = values.sort((a, b) => a - b);
  const at = (share: number) => Number((sorted[Math.floor(share * (sorted.length - 1))] ?? 0).toFixed(2));
  return { p99: at(0.99), max: at(1) };
}

/** What the main thread has computed. Node.js 22 and older read Linux's count; elsewhere they give zeros. */
class ThreadClock {
  readonly #usage = (process as { threadCpuUsage?: () => NodeJS.CpuUsage }).threadCpuUsage;
  readonly #file = this.#usage ? undefined : open(`/proc/self/task/${process.pid}/schedstat`);
  readonly #bytes = Buffer.alloc(64);

  milliseconds(): number {
    // Linux brings the thread's count up to date every few milliseconds only, or when the process's is asked for.
    process.cpuUsage();
    if (this.#usage) {
      const { user, system } = this.#usage.call(process);
      return (user + system) / 1000;
    }
    if (this.#file === undefined) return 0;
    const length = readSync(this.#file, this.#bytes, 0, this.#bytes.length, 0);
    return Number.parseInt(this.#bytes.toString('latin1', 0, length), 10) / 1e6;
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
  }
}

function open(path: string): number | undefined {
  try {
    return openSync(path, 'r');
  } catch {
    return undefined;
  }
}
