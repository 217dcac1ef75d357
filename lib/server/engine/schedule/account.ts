/** A job of a client. */
interface Entry {
  readonly id: string;
  /** Milliseconds that it takes alone. */
  readonly cost: number;
  /** Milliseconds that it takes while its client has its share of the machine. */
  readonly share: number;
  /** Its start, if the client's jobs went in the order in which they came. */
  readonly came: number;
}

/** When the jobs of a client may start. */
export class Account {
  /** The shortest first; of equal ones the one that came first. */
  readonly #jobs: Entry[] = [];
  /** By jobs; undefined: to be reckoned anew. */
  #starts: Map<string, { start: number; came: number }> | undefined;

  /** @param end when the last of its jobs would be done. */
  constructor(public end: number) {}

  get isEmpty(): boolean {
    return this.#jobs.length === 0;
  }

  /**
   * @param cost milliseconds that the job takes alone.
   * @param present how many clients have jobs.
   */
  add({ id, queued }: { id: string; queued: number }, cost: number, present: number): void {
    const share = cost * Math.max(1, this.isEmpty ? present + 1 : present);
    const came = Math.max(queued, this.end);
    this.end = came + share;
    const before = this.#jobs.findIndex((other) => other.cost > cost);
    this.#jobs.splice(before < 0 ? this.#jobs.length : before, 0, { id, cost, share, came });
    this.#starts = undefined;
  }

  /** @param served whether it had its turn; otherwise the client gets the time back. */
  remove(id: string, served: boolean): void {
    const at = this.#jobs.findIndex((job) => job.id === id);
    const [job] = at < 0 ? [] : this.#jobs.splice(at, 1);
    if (!job) return;
    if (!served) this.end -= job.share;
    this.#starts = undefined;
  }

  /** When a job may start, and when it might if those before it had come first, too. */
  of(id: string): { start: number; came: number } | undefined {
    this.#starts ??= this.#reckon();
    return this.#starts.get(id);
  }

  #reckon(): Map<string, { start: number; came: number }> {
    let start = this.end - this.#jobs.reduce((sum, { share }) => sum + share, 0);
    return new Map(
      this.#jobs.map(({ id, share, came }) => {
        const own = { start, came };
        start += share;
        return [id, own];
      }),
    );
  }
}
