import { type Costs, costOf } from './costs.js';
import { kindOf, type PlannedJob } from './planned-job.js';
import { countCalls, type Ranking, remaining } from './ranking.js';

/** Of so many passes one is for those that are due, where somebody is. */
const DUE_EVERY = 4;

/** Runs whose next calls are computed together. */
export interface Pass<Run extends PlannedJob = PlannedJob> {
  readonly runs: readonly Run[];
  readonly call: string;
  readonly samples: number;
}

export interface PassOptions {
  /** Samples of a pass at most. */
  readonly most: number;
  /** Whether runs wait for each other so that their full calls coincide; otherwise whoever has waited longest goes. */
  readonly align: boolean;
}

interface Member<Run> {
  readonly run: Run;
  /** Calls that were given out, and of those that are left how many of each kind. */
  given: number;
  readonly left: Map<string, number>;
  /** The pass that it was last in, by number. */
  last: number;
}

/**
 * Decides which of the runs that are under way make their next call, one pass after the other. Runs share a pass when
 * they make the same kind of call on samples of one size.
 *
 * With a pass of n samples at `fixed + each * n` ms, sharing saves the fixed part. It also makes those who go together end
 * together, and later than the first of them would alone. A millisecond of a short job weighs more than one of a long one, by
 * one over the roots of their lengths: by equal weights short jobs are slowed down too much, and by one over the lengths,
 * which is what times as long as alone ask for, too few share. One more run joins a pass while what those in it lose by
 * that, `fixed + each` by their weights, is no more than what all save, `fixed` by the weights of all jobs here, those that
 * have no place included. With nobody behind, a machine that computes twice as long for two is best used by one after
 * the other. The others are held between calls.
 *
 * A run begins with a full call, and joins where others make one: cached calls go first, until all are at a full call. Once
 * together, runs with equal intervals stay so. Where cached calls take long, they are not waited for: what those at a full
 * call would wait, against what the others would, and the fixed part that all of them save.
 */
export class Passes<Run extends PlannedJob> {
  readonly #members = new Map<string, Member<Run>>();
  #count = 0;

  constructor(
    private readonly costs: Costs,
    private readonly ranking: Ranking,
    private readonly options: PassOptions,
  ) {}

  has(id: string): boolean {
    return this.#members.has(id);
  }

  /** A run is ready for its first call. */
  enter(run: Run): void {
    this.#members.set(run.id, { run, given: 0, left: new Map(countCalls(run)), last: this.#count });
  }

  /** It has ended, in whatever way. */
  leave(id: string): void {
    this.#members.delete(id);
  }

  /** Milliseconds that a run still takes alone. */
  left(id: string): number {
    const member = this.#members.get(id);
    return member ? remaining(member.run, this.costs, member.left) : 0;
  }

  /**
   * The next pass; undefined when no run has a call left. Its runs' calls are given out with it.
   *
   * @param behind jobs that wait for a place.
   * @param may whether the pass of the most urgent run may be given out now.
   */
  next(now: number, behind: number, may: (first: Run) => boolean): Pass<Run> | undefined {
    const ranked = this.#ranked(now);
    const first = ranked[0];
    if (!first || !may(first.run)) return undefined;
    // Nothing is saved by going on with other sizes meanwhile.
    const kin = ranked.filter(({ run }) => run.model === first.run.model && run.shape === first.run.shape);
    const active = this.#saving(kin, ranked, behind);
    const groups = new Map<string, Member<Run>[]>();
    for (const member of active) {
      const call = callOf(member);
      const group = groups.get(call) ?? [];
      if (samplesOf([...group, member]) > this.options.most && group.length > 0) continue;
      groups.set(call, [...group, member]);
    }
    const chosen = this.options.align ? this.#aligned(groups, behind) : longestWaiting(groups);
    this.#count++;
    const pass = { runs: chosen.map(({ run }) => run), call: callOf(chosen[0] as Member<Run>) };
    for (const member of chosen) {
      member.given++;
      member.left.set(pass.call, (member.left.get(pass.call) as number) - 1);
      member.last = this.#count;
    }
    return { ...pass, samples: samplesOf(chosen) };
  }

  /** Those with calls left, the most urgent first; in one pass of `DUE_EVERY` it counts that some are due. */
  #ranked(now: number): Member<Run>[] {
    const rest = [...this.#members.values()]
      .filter(({ run, given }) => given < run.calls.length)
      .map((member) => ({
        ...{ member, job: member.run },
        left: remaining(member.run, this.costs, member.left),
      }));
    return this.ranking.sort(rest, now, this.#count % DUE_EVERY === 0).map(({ member }) => member);
  }

  /** The first of them, as many as save by going on at once. */
  #saving(kin: readonly Member<Run>[], all: readonly Member<Run>[], behind: number): readonly Member<Run>[] {
    const weight = ({ run }: Member<Run>) => 1 / Math.sqrt(Math.max(remaining(run, this.costs), 1e-3));
    // Those that have no place count as those that have one do on average.
    const saving = all.reduce((sum, member) => sum + weight(member), 0) * (1 + behind / all.length);
    let slowed = 0;
    const end = kin.findIndex((member, i) => {
      const { fixed, each } = this.costs.of(kindOf(member.run, 'full'));
      if (i > 0 && slowed * (fixed + each * member.run.samples) > saving * fixed) return true;
      slowed += weight(member);
      return false;
    });
    return end < 0 ? kin : kin.slice(0, end);
  }

  #aligned(groups: ReadonlyMap<string, Member<Run>[]>, behind: number): Member<Run>[] {
    const full = groups.get('full') ?? [];
    const others = [...groups].filter(([call]) => call !== 'full').map(([, group]) => group);
    if (others.length === 0) return full;
    const cached = others.flat();
    if (full.length > 0 && !this.#shouldWait(full, cached, behind)) return full;
    // What takes least first: predictions take nothing.
    const cost = (group: Member<Run>[]) => this.#cost(group, callOf(group[0] as Member<Run>));
    return others.reduce((best, group) => (cost(group) < cost(best) ? group : best));
  }

  #shouldWait(full: Member<Run>[], cached: Member<Run>[], behind: number): boolean {
    const ways = cached.map((member) => ({ member, calls: callsToFull(member) }));
    let waiting = 0;
    for (let i = 0; ; i++) {
      const going = ways.filter(({ calls }) => i < calls.length);
      if (going.length === 0) break;
      const calls = new Set(going.map(({ calls }) => calls[i] as string));
      for (const call of calls)
        waiting += this.#cost(
          going.filter((way) => way.calls[i] === call).map(({ member }) => member),
          call,
        );
    }
    const meets = ways.some(({ member, calls }) => member.given + calls.length < member.run.calls.length);
    const { fixed } = this.costs.of(kindOf((full[0] as Member<Run>).run, 'full'));
    const saved = meets ? fixed * (full.length + cached.length + behind) : 0;
    return full.length * waiting <= cached.length * this.#cost(full, 'full') + saved;
  }

  #cost(group: readonly Member<Run>[], call: string): number {
    return costOf(this.costs.of(kindOf((group[0] as Member<Run>).run, call)), samplesOf(group));
  }
}

const callOf = <Run extends PlannedJob>({ run, given }: Member<Run>) => run.calls[given] as string;

const samplesOf = (members: readonly Member<PlannedJob>[]) =>
  members.reduce((sum, { run }) => sum + run.samples, 0);

/** The calls of a run before its next full one. */
function callsToFull({ run, given }: Member<PlannedJob>): string[] {
  const full = run.calls.indexOf('full', given);
  return run.calls.slice(given, full < 0 ? undefined : full);
}

function longestWaiting<Run>(groups: ReadonlyMap<string, Member<Run>[]>): Member<Run>[] {
  const last = (group: Member<Run>[]) => Math.min(...group.map((member) => member.last));
  return [...groups.values()].reduce((best, group) => (last(group) < last(best) ? group : best));
}
