import { describe, expect, test } from '@jest/globals';
import { Costs, type PassCost } from '../../lib/server/engine/schedule/costs.js';
import type { Pass } from '../../lib/server/engine/schedule/passes.js';
import type { PlannedJob } from '../../lib/server/engine/schedule/planned-job.js';
import { Scheduler, type SchedulerOptions } from '../../lib/server/engine/schedule/scheduler.js';

// Who makes the next call, and who begins: decisions without threads and clocks.

/** 'F' a full call, 'r' a cached one, 'p' a prediction. */
const calls = (pattern: string) =>
  [...pattern].map((c) => (c === 'F' ? 'full' : c === 'r' ? 'retrieve 0' : 'predict'));

let count = 0;
function job(pattern: string, rest: Partial<PlannedJob> = {}): PlannedJob {
  return {
    id: `job${count++}`,
    ...{ model: 'm', priority: 0, queued: 0, samples: 2, pixels: 64, shape: '8x8' },
    calls: calls(pattern),
    ...rest,
  };
}

/** Passes that cost the same for any number of samples, cached ones a tenth: all want to go together. */
const FIXED: PassCost = { fixed: 10, each: 0 };
function scheduler(options: SchedulerOptions = {}, full = FIXED, retrieve?: PassCost) {
  const tenth = { fixed: full.fixed / 10, each: full.each / 10 };
  return new Scheduler(new Costs(({ call }) => (call === 'full' ? full : (retrieve ?? tenth))), options);
}

/** Jobs that have a place and are ready. */
function under(
  jobs: readonly PlannedJob[],
  options?: SchedulerOptions,
  full?: PassCost,
  retrieve?: PassCost,
) {
  const all = scheduler(options, full, retrieve);
  for (const one of jobs) all.submit(one);
  const begun = [...all.begin(0)];
  for (const one of begun) all.enter(one);
  return { all, begun };
}

/** The next pass as text: the call and whose, by number in `jobs`. */
function told(pass: Pass | undefined, jobs: readonly PlannedJob[]): string {
  if (!pass) return '-';
  const numbers = pass.runs.map((run) => jobs.findIndex(({ id }) => id === run.id)).sort();
  return `${pass.call === 'full' ? 'F' : pass.call[0]}${numbers.join('')}`;
}

function passes(all: Scheduler<PlannedJob>, jobs: readonly PlannedJob[], most = 100): string {
  const out: string[] = [];
  for (let i = 0; i < most; i++) {
    const pass = all.next(0);
    if (!pass) break;
    out.push(told(pass, jobs));
  }
  return out.join(' ');
}

describe('passes', () => {
  test('a newcomer joins at the next full call, and equal intervals stay in phase', () => {
    const jobs = [job('FrrFrrF'), job('FrrFrr')];
    const all = scheduler();
    all.enter(jobs[0] as PlannedJob);
    expect(passes(all, jobs, 2)).toBe('F0 r0');
    all.enter(jobs[1] as PlannedJob);
    expect(passes(all, jobs)).toBe('r0 F01 r01 r01 F01 r1 r1');
  });

  test('other schedules meet at full calls, too', () => {
    const jobs = [job('FrFrrrF'), job('FFFF'), job('FppF')];
    const { all } = under(jobs);
    expect(passes(all, jobs)).toBe('F012 p2 p2 r0 F012 r0 r0 r0 F01 F1');
  });

  test('without alignment whoever has waited longest goes', () => {
    const jobs = [job('FrrFrr'), job('FrrFrr')];
    const all = scheduler({ policy: 'joined' });
    all.enter(jobs[0] as PlannedJob);
    expect(passes(all, jobs, 1)).toBe('F0');
    all.enter(jobs[1] as PlannedJob);
    // The second is out of phase for good.
    expect(passes(all, jobs)).toBe('r0 F1 r01 F0 r01 r0 F1 r1 r1');
  });

  test('cached calls that take longer than those who wait are not waited for', () => {
    const jobs = [job('Frrrrrrrr'), job('FF')];
    const slow = { fixed: 9, each: 0 };
    const all = scheduler({}, FIXED, slow);
    all.enter(jobs[0] as PlannedJob);
    expect(passes(all, jobs, 1)).toBe('F0');
    all.enter(jobs[1] as PlannedJob);
    expect(passes(all, jobs, 2)).toBe('F1 F1');
  });

  test('a pass holds so many samples, and sizes, models and branches are apart', () => {
    const jobs = [0, 1, 2, 3].map(() => job('FF', { samples: 6 }));
    expect(told(under(jobs).all.next(0), jobs)).toBe('F01');
    const others = [job('Fr'), job('Fr', { shape: '9x9' }), job('Fr', { model: 'n' })];
    const { all } = under(others);
    expect(passes(all, others)).toBe('F0 r0 F1 r1 F2 r2');
    const branches = [job('Fr'), { ...job('F'), calls: ['full', 'retrieve 1'] }];
    expect(passes(under(branches).all, branches)).toBe('F01 r0 r1');
    // One that is larger than a pass goes by itself.
    const large = [job('F', { samples: 40 }), job('F')];
    expect(passes(under(large).all, large)).toMatch(/^F[01] F[01]$/);
  });

  test('where sharing saves nothing, the shortest goes first, and a shorter one comes between', () => {
    const jobs = [job('FFFFFF'), job('FFF'), job('F')];
    const all = scheduler({}, { fixed: 0, each: 1 });
    all.enter(jobs[0] as PlannedJob);
    all.enter(jobs[1] as PlannedJob);
    expect(passes(all, jobs, 1)).toBe('F1');
    all.enter(jobs[2] as PlannedJob);
    expect(passes(all, jobs)).toBe('F2 F1 F1 F0 F0 F0 F0 F0 F0');
  });

  test('the last calls of a long job do not go before a short one', () => {
    const jobs = [job('FFFFFF'), job('FFF')];
    const all = scheduler({}, { fixed: 0, each: 1 });
    all.enter(jobs[0] as PlannedJob);
    expect(passes(all, jobs, 4)).toBe('F0 F0 F0 F0');
    all.enter(jobs[1] as PlannedJob);
    // Two calls are left of six: 12, of three 9.
    expect(passes(all, jobs)).toBe('F1 F1 F1 F0 F0');
  });

  test('a short job is not slowed down by long ones, long ones share', () => {
    const half = { fixed: 1, each: 0.5 };
    const long = Array.from({ length: 3 }, () => job('F'.repeat(10)));
    const { all } = under([...long, job('F')], {}, half);
    expect(all.next(0)?.runs.map(({ calls }) => calls.length)).toEqual([1]);
    expect(all.next(0)?.runs.length).toBeGreaterThan(1);
    // With many more jobs here it pays.
    const many = under([...long, job('F'), job('F')], {}, half).all;
    for (let i = 0; i < 20; i++) many.submit(job('F'));
    expect(many.next(0)?.runs.map(({ calls }) => calls.length)).toEqual([1, 1, 10, 10, 10]);
  });

  test('the more wait, the more go on together', () => {
    const width = (waiting: number) => {
      const jobs = Array.from({ length: 8 }, () => job('F', { samples: 1 }));
      const { all } = under(jobs, {}, { fixed: 1, each: 2 });
      for (let i = 0; i < waiting; i++) all.submit(job('F', { samples: 1 }));
      return all.next(0)?.runs.length;
    };
    // 1 + N / 3.
    expect([width(0), width(4), width(100)]).toEqual([3, 5, 8]);
  });

  test('priorities, deadlines and clients', () => {
    const serial = { fixed: 0, each: 1 };
    const urgent = [job('F'), job('FFF', { priority: 1 })];
    expect(passes(under(urgent, {}, serial).all, urgent)).toBe('F1 F1 F1 F0');
    const pressed = [job('F'), job('FFF', { deadline: 1 })];
    expect(passes(under(pressed, {}, serial).all, pressed)).toBe('F1 F1 F1 F0');
    // Of three of one client and one of another the other's is not the last.
    const flood = [0, 1, 2].map(() => job('FF', { client: 'a' }));
    const mixed = [...flood, job('FF', { client: 'b' })];
    expect(passes(under(mixed, {}, serial).all, mixed)).toBe('F0 F0 F3 F3 F1 F1 F2 F2');
    // Nor is a client's short one behind its long one; the other client has its turn all the same.
    const own = [job('FFF', { client: 'a' }), job('F', { client: 'a' }), job('FF', { client: 'b' })];
    expect(passes(under(own, {}, serial).all, own)).toBe('F1 F2 F2 F0 F0 F0');
  });

  test.each([undefined, 'a'])('a long job is not overtaken for ever (client %s)', (client) => {
    const long = job('F'.repeat(10), { client });
    const all = scheduler({}, { fixed: 0, each: 0.5 });
    const come = (one: PlannedJob, now: number) => {
      all.submit(one);
      expect([...all.begin(now)]).toEqual([one]);
      all.enter(one);
    };
    come(long, 0);
    let now = 0;
    let made = 0;
    // A new short one whenever one ends: the machine is never free.
    for (; made < 10 && now < 1000; now++) {
      come(job('F', { queued: now, client }), now);
      const [run] = all.next(now)?.runs ?? [];
      if (run === long) made++;
      else if (run) all.end(run.id);
    }
    expect(made).toBe(10);
    // It is due after 24 times its length, and has one pass of four then.
    expect(now).toBeGreaterThan(240);
    expect(now).toBeLessThan(290);
  });

  test('those that leave make no more calls', () => {
    const jobs = [job('FFF'), job('FFF')];
    const { all } = under(jobs);
    expect(passes(all, jobs, 1)).toBe('F01');
    all.leave((jobs[0] as PlannedJob).id);
    expect(passes(all, jobs)).toBe('F1 F1');
  });
});

describe('places', () => {
  const begin = (jobs: readonly PlannedJob[], options: SchedulerOptions = {}) =>
    under(jobs, options).begun.map(({ id }) => jobs.findIndex((one) => one.id === id));

  test('clients take turns, by what their jobs cost', () => {
    const jobs = [...[0, 1, 2, 3].map(() => job('FF', { client: 'a' })), job('FF', { client: 'b' })];
    expect(begin(jobs, { places: 3 })).toEqual([0, 4, 1]);
    const all = scheduler({ places: 1 });
    for (const one of [job('F', { client: 'a' }), job('F', { client: 'a' })]) all.submit(one);
    for (let i = 0; i < 2; i++) for (const one of all.begin(0)) all.end(one.id);
    // What a client got lately counts, and what it did not ask for does not.
    for (const client of ['a', 'c', 'c', 'c', 'c']) all.submit(job('F', { client }));
    expect(all.order(0).map(({ client }) => client)).toEqual(['c', 'a', 'c', 'c', 'c']);
    const later = scheduler();
    for (const client of ['c', 'c', 'a']) later.submit(job('F', { client, queued: 1000 }));
    expect(later.order(1000).map(({ client }) => client)).toEqual(['c', 'a', 'c']);
  });

  test('higher priorities first, then the shorter job', () => {
    expect(begin([job('FFF'), job('F'), job('FFFF', { priority: 1 })])).toEqual([2, 1, 0]);
  });

  test('the last quarter is for short jobs and for who has none', () => {
    const long = Array.from({ length: 5 }, () => job('FFFF', { client: 'a' }));
    expect(begin(long, { places: 4 })).toEqual([0, 1, 2]);
    const { all } = under(long, { places: 4 });
    const other = job('FFFF', { client: 'b' });
    all.submit(other);
    expect([...all.begin(0)]).toEqual([other]);
    const short = job('F', { client: 'a' });
    all.end(other.id);
    all.submit(short);
    expect([...all.begin(0)]).toEqual([short]);
  });

  test('one without room is passed by until it is due', () => {
    const all = scheduler();
    const [stuck, free, late] = [job('F'), job('FF'), job('FF')];
    for (const one of [stuck, free]) all.submit(one);
    const fits = (one: PlannedJob) => one !== stuck;
    expect([...all.begin(0, fits)]).toEqual([free]);
    all.submit(late);
    expect([...all.begin(81, fits)]).toEqual([]);
    expect([...all.begin(81)]).toEqual([stuck, late]);
  });

  test('what needs other weights of a model waits until those under way have ended', () => {
    const jobs = [
      job('FF'),
      job('FF', { weights: 'ink' }),
      job('FF'),
      job('FF', { weights: 'ink', model: 'n' }),
    ];
    const { all, begun } = under(jobs);
    expect(begun).toEqual([jobs[0], jobs[2], jobs[3]]);
    all.end((jobs[0] as PlannedJob).id);
    expect([...all.begin(0)]).toEqual([]);
    all.end((jobs[2] as PlannedJob).id);
    expect([...all.begin(0)]).toEqual([jobs[1]]);
  });

  test('what sees no pictures goes with any ControlNet, and two of one kind go apart', () => {
    const [canny, depth, face] = [{ nets: 'canny' }, { nets: 'depth' }, { faces: 'a' }];
    const jobs = [canny, depth, undefined, face, canny].map((beside) => job('F', { beside }));
    expect(begin(jobs)).toEqual([0, 2, 3, 4]);
  });

  test('sets of weights take turns: nobody waits for ever, and each turn serves many', () => {
    const all = scheduler({ places: 4 }, { fixed: 1, each: 0 });
    const sets = ['', 'ink', 'chalk'];
    const waits: number[] = [];
    const order: string[] = [];
    let now = 0;
    const running: PlannedJob[] = [];
    // More than can be done, of each set as many.
    for (let i = 0; i < 600; i++) {
      for (const weights of i < 300 ? sets : []) all.submit(job('F', { queued: now, weights }));
      for (const one of all.begin(now)) {
        running.push(one);
        waits.push(now - one.queued);
        order.push(one.weights ?? '');
      }
      expect(new Set(running.map(({ weights }) => weights)).size).toBeLessThanOrEqual(1);
      now++;
      // One ends in each moment.
      const ended = running.shift();
      if (ended) all.end(ended.id);
    }
    const turns = order.filter((weights, i) => weights !== order[i - 1]).length;
    // A due job lets as many others pass as there are places.
    expect(order.length / turns).toBeGreaterThan(4);
    // What came first of each set is among the first.
    const half = order.slice(0, order.length / 2);
    for (const weights of sets) {
      const share = half.filter((one) => one === weights).length / half.length;
      expect(share).toBeGreaterThan(0.25);
      expect(share).toBeLessThan(0.42);
    }
  });

  test('a set that comes all the time does not keep another one out', () => {
    const all = scheduler({ places: 4 }, { fixed: 1, each: 0 });
    const other = job('F', { weights: 'ink' });
    const running: PlannedJob[] = [];
    let begun: number | undefined;
    all.submit(job('F'));
    [...all.begin(0)].forEach((one) => void running.push(one));
    all.submit(other);
    for (let now = 0; now < 100 && begun === undefined; now++) {
      all.submit(job('F', { queued: now }));
      for (const one of all.begin(now)) {
        running.push(one);
        if (one === other) begun = now;
      }
      const ended = running.shift();
      if (ended) all.end(ended.id);
    }
    // Eight times its length, and four others behind that.
    expect(begun).toBeGreaterThan(8);
    expect(begun).toBeLessThanOrEqual(8 + 4 + 4 + 1);
  });

  test('serial takes them as they came, batched those that make the same calls', () => {
    const jobs = [job('FFF', { queued: 1 }), job('F', { queued: 2 }), job('FFF', { queued: 3 })];
    expect(begin(jobs, { policy: 'serial' })).toEqual([0]);
    expect(begin(jobs, { policy: 'batched' })).toEqual([0, 2]);
    const { all, begun } = under(jobs, { policy: 'batched' });
    all.end((begun[0] as PlannedJob).id);
    expect([...all.begin(0)]).toEqual([]);
    all.end((begun[1] as PlannedJob).id);
    expect([...all.begin(0)]).toEqual([jobs[1]]);
  });

  test('a job that is withdrawn never begins', () => {
    const all = scheduler();
    const one = job('F');
    all.submit(one);
    expect([all.withdraw(one.id), all.withdraw(one.id), [...all.begin(0)]]).toEqual([one, undefined, []]);
  });

  test('the outlook is the time of all that goes before', () => {
    const all = scheduler({ places: 1 });
    const [first, second, third] = [job('FF'), job('FF'), job('F')];
    for (const one of [first, second, third]) all.submit(one);
    [...all.begin(0)];
    expect([third, first, second].map(({ id }) => all.outlook(id, all.order(0)))).toEqual([10, 30, 50]);
    expect(all.outlook('nobody', [])).toBeUndefined();
    expect(new Scheduler(new Costs()).outlook(first.id, [])).toBeUndefined();
  });
});

describe('costs', () => {
  const kind = { model: 'm', call: 'full', pixels: 100 };

  test('are learnt as a line over the samples', () => {
    const costs = new Costs();
    expect(costs.knows('m')).toBe(false);
    for (let i = 0; i < 200; i++) costs.ran(kind, 2 + (i % 8), 5 + 3 * (2 + (i % 8)));
    expect(costs.knows('m')).toBe(true);
    const { fixed, each } = costs.of(kind);
    expect(fixed).toBeCloseTo(5, 0);
    expect(each).toBeCloseTo(3, 1);
  });

  test('follow a machine that becomes slower, and never go below nothing', () => {
    const costs = new Costs();
    for (let i = 0; i < 300; i++) costs.ran(kind, 2, i < 100 ? 10 : 20);
    const { fixed, each } = costs.of(kind);
    expect(fixed + 2 * each).toBeCloseTo(20, 1);
    for (let i = 0; i < 300; i++) costs.ran(kind, 1 + (i % 2), i % 2 ? 1 : 30);
    expect(costs.of(kind).each).toBe(0);
    // In proportion to the samples, where rounding makes less than nothing.
    const steep = new Costs();
    for (let i = 0; i < 300; i++) {
      steep.ran(kind, 1 + (i % 3), [0.1, 3.3, 7.7][i % 3] as number);
      expect(steep.of(kind).fixed).toBeGreaterThanOrEqual(0);
    }
  });

  test('of what nobody has seen follow from what was', () => {
    const costs = new Costs();
    for (let n = 1; n < 50; n++) costs.ran(kind, 1 + (n % 4), 4 + (1 + (n % 4)));
    const own = costs.of(kind);
    const large = costs.of({ ...kind, pixels: 400 });
    expect(large.fixed).toBe(own.fixed);
    expect(large.each).toBeCloseTo(4 * own.each, 9);
    const cached = costs.of({ ...kind, call: 'retrieve 3' });
    expect(cached.each / own.each).toBeCloseTo(0.2, 9);
    expect(costs.of({ ...kind, call: 'predict' })).toEqual({ fixed: 0, each: 0 });
  });
});
