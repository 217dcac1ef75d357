import { Account } from './account.js';
import { type Costs, costOf } from './costs.js';
import { kindOf, type PlannedJob } from './planned-job.js';

/**
 * How much longer than alone a job may take until it is due. Before, short jobs overtake long ones; those that are due go
 * before all others, in one pass of four (see Passes). So short jobs have most of the passes, and long ones have the rest
 * once they are due: nobody starves.
 */
const STRETCH = 24;

/** The same before nobody else may begin while it has no room. */
const PATIENCE = 8;

/** A deadline presses when twice the rest of a job's time is all that is left until then. */
const PRESSED = 2;

/** A job, and milliseconds that it still takes alone. */
export interface Rest<Job> {
  readonly job: Job;
  readonly left: number;
}

/**
 * Who goes before whom, among jobs that wait and among those under way: higher priorities; jobs whose deadline presses; jobs
 * that are due; and then those with the least left, of those whose start has come.
 *
 * A job's start is when it came, or when its client's jobs before it would be done if the clients that are here shared the
 * machine evenly (start-time fair queueing: Goyal, Vin and Cheng 1996). So many jobs of one client stand behind each other, and
 * not before those of others. Among the jobs of one client the shorter ones come first, too: a client may be an application with
 * many users of its own.
 */
export class Ranking {
  readonly #clients = new Map<string, Account>();

  /** @param fifo whether all of this counts for nothing: who came first goes first. */
  constructor(
    private readonly costs: Costs,
    private readonly fifo = false,
  ) {}

  /** A job has come. */
  add(job: PlannedJob): void {
    const { client: name, queued } = job;
    if (name === undefined) return;
    this.#forget(queued);
    const client = this.#clients.get(name) ?? new Account(queued);
    this.#clients.set(name, client);
    client.add(job, remaining(job, this.costs), this.#present);
  }

  /** It has gone without its turn. */
  withdraw({ id, client = '' }: PlannedJob): void {
    this.#clients.get(client)?.remove(id, false);
  }

  /** It is over. */
  end({ id, client = '' }: PlannedJob): void {
    this.#clients.get(client)?.remove(id, true);
  }

  /**
   * The jobs in their order at a time.
   *
   * @param dueFirst whether those that are due go first; otherwise it does not matter that they are.
   */
  sort<Job extends PlannedJob, One extends Rest<Job>>(
    jobs: readonly One[],
    now: number,
    dueFirst = true,
  ): One[] {
    const keyed = jobs.map((one) => ({ one, keys: this.#keys(one, now, dueFirst) }));
    keyed.sort((a, b) => {
      const at = a.keys.findIndex((key, i) => key !== b.keys[i]);
      return at < 0 ? 0 : (a.keys[at] as number) - (b.keys[at] as number);
    });
    return keyed.map(({ one }) => one);
  }

  /** Milliseconds past which others do not go before a job any more, counted from when it came. */
  patience(job: PlannedJob): number {
    return PATIENCE * remaining(job, this.costs);
  }

  /** Lower ones go first. */
  #keys({ job, left }: Rest<PlannedJob>, now: number, dueFirst: boolean): number[] {
    if (this.fifo) return [job.queued];
    const { deadline = Number.POSITIVE_INFINITY } = job;
    const latest = deadline - left;
    const pressed = now + (PRESSED - 1) * left >= latest ? latest : Number.POSITIVE_INFINITY;
    const { start = job.queued, came = job.queued } = this.#clients.get(job.client ?? '')?.of(job.id) ?? {};
    const whole = remaining(job, this.costs);
    const due = came + STRETCH * whole;
    const never = Number.POSITIVE_INFINITY;
    return [
      -job.priority,
      pressed,
      dueFirst && now >= due ? due : never,
      Math.max(0, start - now),
      left * whole,
    ];
  }

  /** Clients with jobs, one of whom is about to have one. */
  get #present(): number {
    let clients = 0;
    for (const { isEmpty } of this.#clients.values()) if (!isEmpty) clients++;
    return clients;
  }

  /** Clients without jobs that are not ahead of anybody need no memory. */
  #forget(now: number): void {
    for (const [name, { isEmpty, end }] of this.#clients)
      if (isEmpty && end <= now) this.#clients.delete(name);
  }
}

/** Milliseconds of so many calls of each kind, by default all of a job's, if it had the machine to itself. */
export function remaining(job: PlannedJob, costs: Costs, counts = countCalls(job)): number {
  let sum = 0;
  for (const [call, count] of counts) sum += count * costOf(costs.of(kindOf(job, call)), job.samples);
  return sum;
}

/** How many calls of each kind a job has. It is asked for again and again. */
export function countCalls({ calls }: PlannedJob): ReadonlyMap<string, number> {
  const known = counted.get(calls);
  if (known) return known;
  const counts = new Map<string, number>();
  for (const call of calls) counts.set(call, (counts.get(call) ?? 0) + 1);
  counted.set(calls, counts);
  return counts;
}

const counted = new WeakMap<readonly string[], ReadonlyMap<string, number>>();
