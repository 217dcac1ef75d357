import type { Costs } from './costs.js';
import { type Pass, Passes } from './passes.js';
import { goTogether, kindOf, type PlannedJob } from './planned-job.js';
import { Ranking, remaining } from './ranking.js';

export const POLICIES = ['aligned', 'joined', 'batched', 'serial'] as const;
/**
 * How jobs share a device. 'aligned': runs join between calls, where full calls coincide. 'joined': the same as calls come.
 * 'batched': jobs of one kind begin and end together. 'serial': one after the other.
 */
export type Policy = (typeof POLICIES)[number];

export interface SchedulerOptions {
  readonly policy?: Policy;
  /** Jobs that are under way at once; their memory is held. Default 16. */
  readonly places?: number;
  /** Samples of a pass at most; 16 by default, which is what native code takes. */
  readonly most?: number;
}

/**
 * Who begins, and who makes the next call: all decisions of the engine for one device. It knows nothing of threads and
 * clocks: whoever drives it, the engine or a simulator, says what has happened and does what it says.
 */
export class Scheduler<Job extends PlannedJob> {
  readonly #ranking: Ranking;
  readonly #passes: Passes<Job>;
  readonly #queue = new Map<string, Job>();
  readonly #under = new Map<string, Job>();
  /** Of models: jobs that began since the weights were changed, before others that are due and need other weights. */
  readonly #passedBy = new Map<string, number>();
  readonly #policy: Policy;
  readonly #places: number;
  readonly #most: number;

  constructor(
    readonly costs: Costs,
    { policy = 'aligned', places = 16, most = 16 }: SchedulerOptions = {},
  ) {
    this.#policy = policy;
    this.#places = policy === 'serial' ? 1 : places;
    this.#most = most;
    this.#ranking = new Ranking(costs, policy === 'serial' || policy === 'batched');
    this.#passes = new Passes<Job>(costs, this.#ranking, { most, align: policy === 'aligned' });
  }

  get waiting(): number {
    return this.#queue.size;
  }

  /** How many have a place. */
  get running(): number {
    return this.#under.size;
  }

  submit(job: Job): void {
    this.#queue.set(job.id, job);
    this.#ranking.add(job);
  }

  /** Takes a job out that waits. Undefined: it does not. */
  withdraw(id: string): Job | undefined {
    const job = this.#queue.get(id);
    if (!job) return undefined;
    this.#queue.delete(id);
    this.#ranking.withdraw(job);
    return job;
  }

  /**
   * The jobs that begin now: they have a place from the moment on when they come, and `fits` is asked after it.
   *
   * Jobs that need other weights of a model than those under way wait until these have ended. Those that need the same
   * go on before them until one of them is due, and then as many more as there are places: each change of the weights serves
   * many, and nobody waits for more than that.
   *
   * @param fits whether there is room for a job besides. One that has none is passed by for some time: then nobody begins
   * before it does.
   */
  *begin(now: number, fits: (job: Job) => boolean = () => true): Generator<Job, void, void> {
    const begun: Job[] = [];
    // Those that are to end together begin together.
    if (this.#policy === 'batched' && this.#under.size > 0) return;
    if (this.#queue.size === 0 || this.#under.size >= this.#places) return;
    /** Models for whose other weights somebody waits who is due. */
    const due = new Set<string>();
    for (const job of this.order(now)) {
      if (this.#under.size >= this.#places) break;
      if (![...this.#under.values()].every((other) => goTogether(other, job))) {
        if (now > job.queued + this.#ranking.patience(job)) due.add(job.model);
        continue;
      }
      const passedBy = this.#turnOf(job.model);
      if (due.has(job.model) && passedBy >= this.#places) continue;
      if (!fits(job)) {
        if (now > job.queued + this.#ranking.patience(job)) break;
        continue;
      }
      if (!this.#mayBegin(job, begun)) continue;
      if (due.has(job.model)) this.#passedBy.set(job.model, passedBy + 1);
      this.#queue.delete(job.id);
      this.#under.set(job.id, job);
      begun.push(job);
      yield job;
    }
  }

  /** A job that began is ready for U-Net calls. */
  enter(run: Job): void {
    this.#passes.enter(run);
  }

  /** Its calls are over, or it has failed or was cancelled. */
  leave(id: string): void {
    this.#passes.leave(id);
  }

  /** Its place is free again. */
  end(id: string): void {
    const job = this.#under.get(id);
    if (!job) return;
    this.#passes.leave(id);
    this.#under.delete(id);
    this.#ranking.end(job);
  }

  /**
   * The next pass; undefined: nobody has a call to make.
   *
   * @param may whether the pass of the most urgent run may be given out now.
   */
  next(now: number, may: (first: Job) => boolean = () => true): Pass<Job> | undefined {
    return this.#passes.next(now, this.#queue.size, may);
  }

  /** A pass took so long. */
  ran({ runs, call, samples }: Pass<Job>, milliseconds: number): void {
    const [run] = runs;
    if (run) this.costs.ran(kindOf(run, call), samples, milliseconds);
  }

  /** Milliseconds of all calls that are left, one after the other. */
  get load(): number {
    return [...this.#under.values(), ...this.#queue.values()].reduce((sum, job) => sum + this.#left(job), 0);
  }

  /** Jobs that wait, in the order in which they would begin. */
  order(now: number): Job[] {
    const rest = [...this.#queue.values()].map((job) => ({ job, left: remaining(job, this.costs) }));
    return this.#ranking.sort(rest, now).map(({ job }) => job);
  }

  /**
   * Milliseconds until a job's calls are over: those of the jobs before it and its own, one after the other. Undefined while
   * no pass of its model was seen.
   */
  outlook(id: string, order: readonly Job[]): number | undefined {
    const own = this.#under.get(id) ?? order.find((job) => job.id === id);
    if (!own || !this.costs.knows(own.model)) return undefined;
    const under = [...this.#under.values()].map((job) => ({ id: job.id, left: this.#left(job) }));
    if (this.#under.has(id)) {
      // Those that are done first take part until then.
      const mine = this.#left(own);
      return under.reduce((sum, { left }) => sum + Math.min(left, mine), 0);
    }
    const before = order.slice(0, order.indexOf(own) + 1);
    return (
      under.reduce((sum, { left }) => sum + left, 0) +
      before.reduce((sum, job) => sum + remaining(job, this.costs), 0)
    );
  }

  /** How many of the present weights have passed others by. Where nobody is under way new ones begin. */
  #turnOf(model: string): number {
    if (![...this.#under.values()].some((job) => job.model === model)) this.#passedBy.delete(model);
    return this.#passedBy.get(model) ?? 0;
  }

  #left(job: Job): number {
    return this.#passes.has(job.id) ? this.#passes.left(job.id) : remaining(job, this.costs);
  }

  #mayBegin(job: Job, begun: readonly Job[]): boolean {
    if (this.#policy === 'batched') {
      const [first] = begun;
      const samples = begun.reduce((sum, { samples }) => sum + samples, job.samples);
      return !first || (samples <= this.#most && isTwin(first, job));
    }
    if (this.#policy === 'serial' || this.#places < 4) return true;
    // The last quarter of the places is for the jobs of who has none, and for short ones.
    const under = [...this.#under.values()];
    if (under.length < this.#places - Math.floor(this.#places / 4)) return true;
    const longest = Math.max(...under.map((other) => remaining(other, this.costs)));
    return !under.some(({ client }) => client === job.client) || 2 * remaining(job, this.costs) <= longest;
  }
}

/** Whether two jobs make the same calls. */
function isTwin(a: PlannedJob, b: PlannedJob): boolean {
  return (
    a.model === b.model &&
    a.shape === b.shape &&
    a.calls.length === b.calls.length &&
    a.calls.every((call, i) => call === b.calls[i])
  );
}
