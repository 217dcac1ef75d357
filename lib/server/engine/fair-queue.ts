/** What the order of waiting jobs depends on. Times are milliseconds on one clock. */
export interface Waiting {
  readonly id: string;
  /** Who gets a share of the machine of its own. */
  readonly client: string;
  readonly priority: number;
  readonly deadline?: number;
  /** Milliseconds of the machine that it takes by estimate. */
  readonly cost: number;
}

/**
 * The order in which jobs get their turn. Higher priorities first. Among equals clients share the machine evenly: each has
 * a virtual time, which is what its jobs have cost so far, and the one that is behind goes first (start-time fair
 * queueing: Goyal, Vin and Cheng 1996); one that comes back does not catch up on what it did not ask for. Of one client the
 * earliest deadline goes first, then who came first.
 */
export class FairQueue<Job extends Waiting> {
  readonly #jobs: Job[] = [];
  readonly #served = new Map<string, number>();
  /** The virtual time of who went last. */
  #now = 0;

  get length(): number {
    return this.#jobs.length;
  }

  add(job: Job): void {
    this.#jobs.push(job);
    this.#served.set(job.client, Math.max(this.#served.get(job.client) ?? 0, this.#now));
  }

  /** Takes a job out without its turn. */
  remove(id: string): boolean {
    const at = this.#jobs.findIndex((job) => job.id === id);
    if (at < 0) return false;
    this.#jobs.splice(at, 1);
    this.#forgetIdle();
    return true;
  }

  /** Takes out the first job that `fits`, at its client's expense. */
  take(fits: (job: Job) => boolean): Job | undefined {
    const job = this.order().find(fits);
    if (!job) return undefined;
    const start = this.#served.get(job.client) as number;
    this.#now = Math.max(this.#now, start);
    this.#served.set(job.client, start + job.cost);
    this.remove(job.id);
    return job;
  }

  /** All jobs as they would go if none came. */
  order(): Job[] {
    const served = new Map(this.#served);
    const rest = [...this.#jobs].sort(
      (a, b) =>
        b.priority - a.priority ||
        (a.deadline ?? Number.POSITIVE_INFINITY) - (b.deadline ?? Number.POSITIVE_INFINITY) ||
        0,
    );
    const out: Job[] = [];
    // Of each priority and client a line; the line whose client is behind gives the next job.
    for (const priority of new Set(rest.map((job) => job.priority))) {
      const lines = new Map<string, Job[]>();
      for (const job of rest) {
        if (job.priority !== priority) continue;
        const line = lines.get(job.client);
        if (line) line.push(job);
        else lines.set(job.client, [job]);
      }
      while (lines.size > 0) {
        const [client, line] = [...lines].reduce((best, next) =>
          (served.get(next[0]) as number) < (served.get(best[0]) as number) ? next : best,
        );
        const job = line.shift() as Job;
        out.push(job);
        served.set(client, (served.get(client) as number) + job.cost);
        if (line.length === 0) lines.delete(client);
      }
    }
    return out;
  }

  /** Clients that are not ahead of anybody need no memory. */
  #forgetIdle(): void {
    for (const [client, served] of this.#served) {
      if (served <= this.#now && !this.#jobs.some((job) => job.client === client))
        this.#served.delete(client);
    }
  }
}
