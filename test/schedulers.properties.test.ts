import { describe, expect, test } from '@jest/globals';
import { attachPrograms } from '../lib/deepcache/index.js';
import { type CompiledSchedule, runTable, Scheduler, type SchedulerConfig } from '../lib/schedulers/index.js';

/**
 * If all training pictures were the same one, a perfect model would always see it: x0 is that picture and the noise
 * in the latent never changes. Every deterministic sampler, whatever its order, then stays exactly on the straight
 * line alpha * picture + sigma * noise.
 */
const PICTURE = [0.3, -0.8, 0.55, -0.1, 0.9, 0.05];
const NOISE = [1.2, -0.4, 0.1, -1.7, 0.6, -0.9];

const UNSCALED = [
  ...['EulerDiscrete', 'EulerAncestralDiscrete', 'HeunDiscrete', 'LMSDiscrete'],
  ...['KDPM2Discrete', 'KDPM2AncestralDiscrete'],
];

/** A small generator with a fixed seed, so that a failure can be repeated. */
function random(seed: number) {
  let state = seed;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  return {
    next,
    integer: (min: number, max: number) => min + Math.floor(next() * (max - min + 1)),
    pick: <T>(values: readonly T[]): T => values[Math.floor(next() * values.length)] as T,
  };
}

interface Run {
  scheduler: Scheduler;
  compiled: CompiledSchedule;
  /** Of the latents before each call. */
  levels: { sqrtAlpha: number; sigma: number }[];
  states: { x: number[]; x0: number[] }[];
}

/** Runs a schedule with the perfect model, from its first noise level on. */
function run(name: string, config: SchedulerConfig, options: Parameters<Scheduler['compile']>[0]): Run {
  const scheduler = Scheduler.fromConfig({
    _class_name: name,
    beta_start: 0.00085,
    beta_end: 0.012,
    beta_schedule: 'scaled_linear',
    ...config,
  });
  const compiled = scheduler.compile(options);
  const states: Run['states'] = [];
  const levels = compiled.noiseLevels;
  const first = levels[0] as Run['levels'][number];
  runTable(
    attachPrograms(
      compiled.rows,
      compiled.rows.map(() => ({ kind: 'full' })),
    ),
    {
      x: Float64Array.from(PICTURE, (p, i) => first.sqrtAlpha * p + first.sigma * (NOISE[i] as number)),
      noise: (index) => NOISE.map((v) => Math.sin(v * (index + 2))),
      model: ({ input, row }) => {
        const { sqrtAlpha, sigma } = levels[row] as Run['levels'][number];
        const scale = compiled.rows[row]?.inputScale as number;
        // The model's own scales are variance preserving also where the sampler's are not.
        const length = Math.hypot(sqrtAlpha, sigma);
        return input.map((value, i) => {
          const picture = PICTURE[i] as number;
          const noise = (value / scale - sqrtAlpha * picture) / sigma;
          if (scheduler.predictionType === 'epsilon') return noise;
          if (scheduler.predictionType === 'sample') return picture;
          if (scheduler.predictionType === 'flow_prediction') return noise - picture;
          return (sqrtAlpha * noise - sigma * picture) / length;
        });
      },
      onRow: ({ x, x0 }) => states.push({ x: [...x], x0: [...x0] }),
    },
  );
  return { scheduler, compiled, levels, states };
}

/** Empty, or a message: expect() is slow when called for every number. */
function difference(actual: number[], expected: number[], message: string, tolerance = 1e-6): string[] {
  const worst = Math.max(...actual.map((value, i) => Math.abs(value - (expected[i] as number))));
  return worst < tolerance ? [] : [`${message}: off by ${worst}`];
}

/** A flow's line, which is not a sphere. */
function flow(r: ReturnType<typeof random>): SchedulerConfig {
  return {
    use_flow_sigmas: true,
    prediction_type: r.pick(['flow_prediction', 'sample']),
    flow_shift: r.pick([1, 0.5, 3]),
  };
}

/** One of the ways to spread sigmas. */
function spacing(r: ReturnType<typeof random>): SchedulerConfig {
  const field = r.pick(['use_karras_sigmas', 'use_exponential_sigmas', 'use_beta_sigmas', undefined]);
  return field === undefined ? {} : { [field]: true };
}

const deterministic: [string, (r: ReturnType<typeof random>) => SchedulerConfig][] = [
  ['DDIM', () => ({ clip_sample: false, steps_offset: 1 })],
  ['PNDM', (r) => ({ skip_prk_steps: r.pick([true, false]), steps_offset: 1 })],
  ['EulerDiscrete', (r) => spacing(r)],
  ['HeunDiscrete', (r) => spacing(r)],
  ['LMSDiscrete', (r) => spacing(r)],
  ['KDPM2Discrete', (r) => spacing(r)],
  [
    'DPMSolverMultistep',
    (r) => ({
      solver_order: r.integer(1, 3),
      algorithm_type: r.pick(['dpmsolver', 'dpmsolver++']),
      solver_type: r.pick(['midpoint', 'heun']),
      ...spacing(r),
      use_lu_lambdas: r.pick([true, false]),
      ...(r.pick([true, false]) && { final_sigmas_type: 'sigma_min' }),
      lower_order_final: r.pick([true, false]),
      euler_at_final: r.pick([true, false]),
    }),
  ],
  [
    'DPMSolverSinglestep',
    (r) => ({
      solver_order: r.integer(1, 3),
      algorithm_type: r.pick(['dpmsolver', 'dpmsolver++']),
      solver_type: r.pick(['midpoint', 'heun']),
      ...spacing(r),
      ...(r.pick([true, false]) && { final_sigmas_type: 'sigma_min' }),
      lower_order_final: r.pick([true, false]),
    }),
  ],
  [
    'DEISMultistep',
    (r) => ({ solver_order: r.integer(1, 3), ...spacing(r), lower_order_final: r.pick([true, false]) }),
  ],
  [
    'UniPCMultistep',
    (r) => ({
      solver_order: r.integer(1, 4),
      predict_x0: r.pick([true, false]),
      solver_type: r.pick(['bh1', 'bh2']),
      ...spacing(r),
      // A last step to zero is of first order.
      ...r.pick([{}, { final_sigmas_type: 'sigma_min', lower_order_final: r.pick([true, false]) }]),
      disable_corrector: r.pick([[], [0], [1, 2]]),
    }),
  ],
];

const flowing: typeof deterministic = [
  ['DPMSolverMultistep', (r) => ({ ...flow(r), solver_order: r.integer(1, 3) })],
  [
    'UniPCMultistep',
    (r) => ({ ...flow(r), solver_order: r.integer(1, 3), shift_terminal: r.pick([null, 0.1]) }),
  ],
  ['DPMSolverSinglestep', (r) => ({ ...flow(r), solver_order: r.integer(1, 3) })],
  ['DEISMultistep', (r) => ({ ...flow(r), solver_order: r.integer(1, 3) })],
  ['FlowMatchEulerDiscrete', (r) => ({ shift: r.pick([1, 3]) })],
];

describe('with a perfect model for one picture', () => {
  test.each([...deterministic, ...flowing])('%s stays on the line to it', (name, configure) => {
    const r = random(name.length);
    // The samplers with whole strides assume that neighbouring timesteps are a stride apart.
    const whole = name === 'DDIM' || name === 'PNDM';
    // PNDM averages the raw outputs over timesteps, and even a perfect v is not the same at all of them.
    const predictions = {
      PNDM: ['epsilon'],
      KDPM2Discrete: ['epsilon', 'v_prediction'],
    }[name] ?? ['epsilon', 'sample', 'v_prediction'];
    const problems: string[] = [];
    for (let trial = 0; trial < 40; trial++) {
      const config: SchedulerConfig = {
        timestep_spacing: whole ? 'leading' : r.pick(['leading', 'linspace', 'trailing']),
        prediction_type: r.pick(predictions),
        ...configure(r),
      };
      // Even strides: Runge-Kutta stops half-way.
      const steps = whole ? r.pick([4, 5, 10, 20, 25, 50]) : r.integer(4, 60);
      const { levels, states } = run(name, config, { steps });
      for (const [call, state] of states.entries()) {
        const message = `call ${call} of ${name} ${steps} ${JSON.stringify(config)}`;
        problems.push(...difference(state.x0, PICTURE, `x0 of ${message}`));
        const next = levels[call + 1];
        const expected = PICTURE.map((p, i) =>
          next ? next.sqrtAlpha * p + next.sigma * (NOISE[i] as number) : 0,
        );
        if (next) problems.push(...difference(state.x, expected, `x after ${message}`));
      }
    }
    expect(problems.slice(0, 3)).toEqual([]);
  });

  test.each([
    'EulerDiscrete',
    'EulerAncestralDiscrete',
    'HeunDiscrete',
    'LMSDiscrete',
    'KDPM2Discrete',
    'KDPM2AncestralDiscrete',
    'DPMSolverMultistep',
    'DPMSolverSinglestep',
    'UniPCMultistep',
    'DDIM',
    'DDPM',
    'LCM',
  ])('%s arrives at it', (name) => {
    const r = random(7);
    const problems: string[] = [];
    for (let trial = 0; trial < 20; trial++) {
      const prediction_type = r.pick(['epsilon', 'v_prediction']);
      const steps = r.integer(1, name === 'LCM' ? 50 : 60);
      const { compiled, states } = run(name, { prediction_type }, { steps, eta: r.next() });
      const goal = states.at(-1) as Run['states'][number];
      const message = `${name} ${prediction_type} ${steps}`;
      // LCM's boundary condition mixes a little of x in.
      const tolerance = name === 'LCM' ? 1e-4 : 1e-6;
      problems.push(...difference(goal.x0, PICTURE, `x0 of ${message}`, tolerance));
      // Where DDPM does not end at timestep 0, its last step still adds the smallest variance.
      if (name === 'DDPM' && (compiled.timesteps.at(-1) as number) > 0) continue;
      problems.push(...difference(goal.x, PICTURE, `x of ${message}`, tolerance));
    }
    expect(problems.slice(0, 3)).toEqual([]);
  });
});

describe('compiled rows', () => {
  const names = deterministic
    .map(([name]) => name)
    .concat('EulerAncestralDiscrete', 'DDPM', 'LCM', 'TCD', 'SASolver', 'IPNDM', 'KDPM2Ancestral');

  test.each(names)('%s: finite, at most five assignments, no slot read before it is written', (name) => {
    const r = random(11);
    const problems: string[] = [];
    for (let trial = 0; trial < 30; trial++) {
      const scheduler = Scheduler.fromConfig({
        _class_name: name,
        timestep_spacing: r.pick(['leading', 'linspace', 'trailing']),
        prediction_type: r.pick(['epsilon', 'v_prediction']),
        ...(name === 'DPMSolverMultistep' && {
          algorithm_type: r.pick(['sde-dpmsolver', 'sde-dpmsolver++', 'dpmsolver']),
        }),
        ...(name === 'PNDM' && { skip_prk_steps: r.pick([true, false]) }),
      });
      const steps = r.integer(4, 50);
      const calls = scheduler.compile({ steps }).timesteps.length;
      const strengthStart = r.integer(0, calls - 1);
      const compiled = scheduler.compile({ steps, strengthStart, eta: r.next(), sChurn: r.next() });
      expect(compiled.timesteps).toEqual(compiled.schedulerTimesteps.slice(strengthStart));
      expect(compiled.noiseLevels).toHaveLength(calls - strengthStart);
      expect(compiled.startAddNoise).toEqual(compiled.addNoiseLevels[0]);

      const written = new Set<string>(['x']);
      for (const row of compiled.rows) {
        if (row.assign.length > 5) problems.push(`${row.assign.length} assignments`);
        written.add('m').add('x0');
        if (row.noise !== undefined) written.add('noise');
        for (const { to, terms } of row.assign) {
          for (const { slot, coefficient } of terms) {
            if (!Number.isFinite(coefficient)) problems.push(`coefficient ${coefficient}`);
            if (!written.has(slot)) problems.push(`${slot} is read before it is written`);
          }
          written.add(to);
        }
        if (row.assign.at(-1)?.to !== 'x') problems.push('the row does not end with x');
        written.delete('noise');
      }
    }
    expect(problems.slice(0, 3)).toEqual([]);
  });

  test.each(UNSCALED)('%s scales the input to unit variance', (name) => {
    const compiled = Scheduler.fromConfig({ _class_name: name }).compile({ steps: 9 });
    for (const [call, row] of compiled.rows.entries()) {
      const { sigma } = compiled.noiseLevels[call] as { sigma: number };
      expect((row.inputScale as number) * Math.hypot(1, sigma)).toBeCloseTo(1, 12);
    }
  });
});
