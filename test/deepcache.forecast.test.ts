import { describe, expect, test } from '@jest/globals';
import {
  attachPrograms,
  type CacheOptions,
  lineFactor,
  SettingsPolicy,
  withForecasts,
} from '../lib/deepcache/index.js';
import {
  type CompiledRow,
  type NoiseLevel,
  runTable,
  Scheduler,
  type SchedulerConfig,
} from '../lib/schedulers/index.js';

const START = [0.3, -0.8, 0.55, -0.1, 0.9, 0.05];
const SLOPE = [0.2, 0.1, -0.3, 0.05, -0.15, 0.25];

/** The noise that a model sees whose prediction moves on a straight line over log(alpha / sigma). */
const noiseAt = ({ sqrtAlpha, sigma }: NoiseLevel) =>
  START.map((value, i) => value + (SLOPE[i] as number) * Math.log(sqrtAlpha / sigma));

function compile(name: string, config: SchedulerConfig, steps = 12) {
  const scheduler = Scheduler.fromConfig({
    _class_name: name,
    beta_start: 0.00085,
    beta_end: 0.012,
    beta_schedule: 'scaled_linear',
    ...config,
  });
  return { scheduler, compiled: scheduler.compile({ steps }) };
}

/** One of each for a predicted call. */
interface Factors {
  gamma?: number[];
  curve?: number[];
  clean?: number[];
  noise?: number[];
}

/** A run of the model with every call in full or as `plan` says; the latents after every row. */
function run({ scheduler, compiled }: ReturnType<typeof compile>, plan?: string, factors: Factors = {}) {
  return runWith({ scheduler, compiled }, plan ? { plan, ...factors } : false, (level) => noiseAt(level));
}

/** The same with a model that finds this noise at a row's level and input, [sqrtAlpha x0 + sigma noise]. */
function runWith(
  { scheduler, compiled }: ReturnType<typeof compile>,
  cache: CacheOptions,
  noiseOf: (level: NoiseLevel, mixed: number[], row: number) => number[],
) {
  const { rows, timesteps, schedulerTimesteps, noiseLevels } = compiled;
  const layout = new SettingsPolicy(cache).layout({
    timesteps,
    schedulerTimesteps,
    branches: 1,
  });
  const placed = withForecasts({ rows, noiseLevels }, layout.calls);
  const states: number[][] = [];
  let calls = 0;
  const options = {
    x: Float64Array.from(START, (v) => v * compiled.initNoiseSigma),
    noise: (index: number) => START.map((v) => Math.sin(v * (index + 2))),
    model: ({ input, row }: { input: Float64Array; row: number }) => {
      calls++;
      const { sqrtAlpha, sigma } = noiseLevels[row] as NoiseLevel;
      const scale = rows[row]?.inputScale as number;
      const length = Math.hypot(sqrtAlpha, sigma);
      const mixed = [...input].map((value) => value / scale);
      return noiseOf(noiseLevels[row] as NoiseLevel, mixed, row).map((noise, i) => {
        const picture = ((mixed[i] as number) - sigma * noise) / sqrtAlpha;
        if (scheduler.predictionType === 'epsilon') return noise;
        if (scheduler.predictionType === 'sample') return picture;
        return (sqrtAlpha * noise - sigma * picture) / length;
      });
    },
    onRow: ({ x }: { x: Float64Array }) => states.push([...x]),
  };
  runTable(attachPrograms(placed.rows, placed.calls), options);
  return { states, calls };
}

const SAMPLERS: [string, SchedulerConfig][] = [
  ['DDIM', { clip_sample: false, steps_offset: 1 }],
  ['DDPM', { clip_sample: false }],
  ['PNDM', { skip_prk_steps: true, steps_offset: 1 }],
  ['PNDM', { skip_prk_steps: false }],
  ['LMSDiscrete', {}],
  ['EulerDiscrete', { use_karras_sigmas: true }],
  ['EulerAncestralDiscrete', {}],
  ['HeunDiscrete', {}],
  ['DPMSolverMultistep', { solver_order: 3 }],
  ['DPMSolverMultistep', { algorithm_type: 'sde-dpmsolver++' }],
  ['UniPCMultistep', { solver_order: 4 }],
  ['LCM', { clip_sample: false }],
  ['TCD', { eta: 0 }],
  ['KDPM2Discrete', {}],
  ['KDPM2AncestralDiscrete', {}],
  ['DEISMultistep', { solver_order: 3 }],
  ['SASolver', {}],
  ['DPMSolverSinglestep', { solver_order: 3 }],
];

/** These, as diffusers has them, know no clean samples. */
const NO_SAMPLE = ['PNDM', 'EulerAncestralDiscrete', 'KDPM2Discrete', 'KDPM2AncestralDiscrete'];

describe.each(['epsilon', 'v_prediction', 'sample'])('with %s', (prediction_type) => {
  const samplers = SAMPLERS.filter(([name]) => prediction_type !== 'sample' || !NO_SAMPLE.includes(name));
  test.each(samplers)('%s %j: what lies on the line is forecast as it is', (name, config) => {
    const made = compile(name, { ...config, prediction_type });
    const count = made.compiled.rows.length;
    const plan = `FF${'PPFPF'.repeat(count)}`.slice(0, count);
    const full = run(made);
    const planned = run(made, plan);
    expect(planned.calls).toBe([...plan].filter((letter) => letter === 'F').length);
    const worst = planned.states.map((state, row) =>
      Math.max(
        ...state.map((v, i) => {
          const wanted = full.states[row]?.[i] as number;
          return Math.abs(v - wanted) / (1 + Math.abs(wanted));
        }),
      ),
    );
    expect(Math.max(...worst)).toBeLessThan(2e-6);
    // The noise does move: holding it gives something else.
    const held = run(made, plan, {
      gamma: new Array([...plan].filter((letter) => letter === 'P').length).fill(0),
    });
    expect(
      Math.abs((held.states.at(-1)?.[0] as number) - (full.states.at(-1)?.[0] as number)),
    ).toBeGreaterThan(1e-4);
  });
});

describe.each(['epsilon', 'v_prediction'])('with %s', (prediction_type) => {
  // LMS leaves two slots only, others need four here.
  const samplers = SAMPLERS.filter(([name]) => name !== 'LMSDiscrete');
  test.each(samplers)('%s %j: curves and shares of clean latents and noise are added', (name, config) => {
    const made = compile(name, { ...config, prediction_type });
    const count = made.compiled.rows.length;
    const plan = `FPFF${'PPFPF'.repeat(count)}`.slice(0, count);
    const predicted = [...plan].flatMap((letter, row) => (letter === 'P' ? [row] : []));
    const factors = {
      gamma: predicted.map((row) => 0.3 + 0.02 * row),
      curve: predicted.map((row) => (row % 3 === 0 ? 0 : 0.1 + 0.03 * row)),
      clean: predicted.map((row) => (row % 2 === 0 ? 0.1 - 0.01 * row : 0)),
      noise: predicted.map((row) => 0.05 * Math.sin(row)),
    };
    const kept: { noise: number[]; clean: number[] }[] = [];
    // A model that finds at predicted calls what is to be forecast there, every call in full.
    const imitated = runWith(made, false, (level, mixed, row) => {
      const at = predicted.indexOf(row);
      if (at >= 0) {
        const [last, before] = [kept.at(-1), kept.at(-2) ?? kept.at(-1)] as [
          (typeof kept)[0],
          (typeof kept)[0],
        ];
        const of = (factor: keyof typeof factors) => factors[factor][at] as number;
        return last.noise.map((noise, i) => {
          const change = noise - (before.noise[i] as number);
          const earlier = kept.at(-3);
          // With two full calls before there is no change of the change.
          const bent = earlier ? change - ((before.noise[i] as number) - (earlier.noise[i] as number)) : 0;
          const along = noise + of('gamma') * change + of('curve') * bent;
          return along + of('noise') * noise + of('clean') * (last.clean[i] as number);
        });
      }
      const noise = noiseAt(level);
      const clean = mixed.map((value, i) => (value - level.sigma * (noise[i] as number)) / level.sqrtAlpha);
      kept.push({ noise, clean });
      return noise;
    });
    const planned = run(made, plan, factors);
    expect(planned.calls).toBe(count - predicted.length);
    for (const [row, state] of planned.states.entries()) {
      for (const [i, value] of state.entries()) {
        const wanted = imitated.states[row]?.[i] as number;
        expect(Math.abs(value - wanted) / (1 + Math.abs(wanted))).toBeLessThan(2e-6);
      }
    }
    // They do change it.
    const without = run(made, plan, { gamma: factors.gamma });
    expect(without.states.at(-1)).not.toEqual(planned.states.at(-1));
  });
});

test('a sampler without room for clean latents takes the other factors', () => {
  const made = compile('LMSDiscrete', {});
  const plan = 'FFPF'.repeat(3);
  const some = [0.1, 0.1, 0.1];
  expect(() => run(made, plan, { clean: some })).toThrow(/only retrieved/);
  expect(() => run(made, plan, { curve: some })).toThrow(/only retrieved/);
  expect(() => run(made, plan, { clean: [0, 0, 0], curve: [0, 0, 0], noise: some })).not.toThrow();
});

test('retrieved calls are no source of forecasts', () => {
  const { compiled } = compile('DDIM', {}, 5);
  const { calls } = new SettingsPolicy({ plan: 'FFRPF', branch: 2 }).layout({ ...compiled, branches: 3 });
  const placed = withForecasts(compiled, calls);
  expect(placed.rows.map((row) => row.assign.length)).toEqual([2, 2, 1, 1, 1]);
  expect(placed.calls.map(({ kind }) => kind)).toEqual(['full', 'full', 'retrieve', 'predict', 'full']);
});

test('factors: given, damped, held where there is one call, and over pure noise', () => {
  const { compiled } = compile('DDIM', { prediction_type: 'epsilon' }, 4);
  const factors = (cache: object) => {
    const { calls } = new SettingsPolicy(cache as never).layout({ ...compiled, branches: 1 });
    return withForecasts(compiled, calls).calls.flatMap((call) =>
      call.kind === 'predict' ? [call.terms.map(({ coefficient }) => coefficient)] : [],
    );
  };
  const line = lineFactor(compiled.noiseLevels, 2, 1, 0);
  const near = (values: number[]) => values.map((value) => expect.closeTo(value, 9));
  expect(factors({ plan: 'FFPF' })).toEqual([near([1 + line, -line])]);
  expect(factors({ plan: 'FFPF', damping: 0.5 })).toEqual([near([1 + line / 2, -line / 2])]);
  expect(factors({ plan: 'FFPP', gamma: [0.25, 2] })).toEqual([near([1.25, -0.25]), near([3, -2])]);
  expect(factors({ plan: 'FPPF' })).toEqual([near([1]), near([1])]);
  const levels = [{ sqrtAlpha: 0, sigma: 1 }, ...compiled.noiseLevels];
  expect(lineFactor(levels, 2, 1, 0)).toBe(0);
});

test('a sampler that leaves no slots, and a forecast of nothing, are refused', () => {
  const { compiled } = compile('DDIM', {}, 2);
  const forecast = [{ kind: 'full' }, { kind: 'forecast' }] as const;
  const names = Array.from({ length: 9 }, (_, i) => `s${i}` as 's0');
  const crowded = compiled.rows.map((row): CompiledRow => {
    return { ...row, assign: [{ to: 'x', terms: names.map((slot) => ({ slot, coefficient: 1 })) }] };
  });
  expect(() => withForecasts({ ...compiled, rows: crowded }, forecast)).toThrow(/only retrieved/);
  expect(() => withForecasts(compiled, [{ kind: 'forecast' }, { kind: 'full' }])).toThrow(/begin in full/);
});

test.each([
  [{ plan: 'PFFFF' }, /cache\.plan must be a letter/],
  [{ plan: 'FXFFF' }, /cache\.plan must be a letter/],
  [{ plan: 'FPF' }, /cache\.plan has 3 letters, but the run has 5 U-Net calls/],
  [{ plan: 'FPFPF', interval: 2 }, /cache\.interval cannot be used together with plan/],
  [{ plan: 'FPFPF', gamma: [1] }, /cache\.gamma must be a list of 2 numbers/],
  [{ plan: 'FPFPF', gamma: [1, Number.NaN] }, /cache\.gamma\[1\] must be a number/],
  [{ plan: 'FPFPF', clean: [1, 2, 3] }, /cache\.clean must be a list of 2 numbers/],
  [{ plan: 'FPFPF', curve: [1] }, /cache\.curve must be a list of 2 numbers/],
  [{ interval: 2, curve: [1] }, /cache\.curve needs a plan/],
  [{ plan: 'FPFPF', noise: [1, 101] }, /cache\.noise\[1\] must be a number/],
  [{ interval: 2, clean: [1] }, /cache\.clean needs a plan/],
  [{ plan: 'FPFPF', damping: 2 }, /cache\.damping must be a number from 0 to 1/],
  [{ plan: 'FPFPF', damping: 1, gamma: [1, 1] }, /cache\.damping and gamma exclude each other/],
  [{ interval: 2, damping: 1 }, /cache\.damping needs a plan/],
])('%j is refused', (cache, message) => {
  const timesteps = [5, 4, 3, 2, 1];
  const run = { timesteps, schedulerTimesteps: timesteps, branches: 2 };
  expect(() => new SettingsPolicy(cache as never).layout(run)).toThrow(
    expect.objectContaining({
      code: 'ERR_DEEPCACHE_INVALID_ARGUMENT',
      message: expect.stringMatching(message),
    }),
  );
});
