import { describe, expect, test } from '@jest/globals';
import { attachPrograms } from '../lib/deepcache/index.js';
import { type CompiledSchedule, runTable, type Scheduler } from '../lib/schedulers/index.js';
import { stable } from './sample.js';

/**
 * If the training pictures are normally distributed numbers, everything is known: the best model, the solution of the
 * diffusion ODE, on which a sample keeps its place in its distribution, and the distribution that an SDE must end with.
 */
const MEAN = 0.7;
const DEVIATION = 0.45;

interface Level {
  alpha: number;
  sigma: number;
}

/** How latents are made of pictures and noise, from what the sampler calls sigma. */
type Kind = 'preserving' | 'unscaled' | 'flow' | 'edm' | 'circle';

const LEVELS: Record<Kind, (sigma: number) => Level> = {
  preserving: (sigma) => ({ alpha: 1 / Math.hypot(1, sigma), sigma: sigma / Math.hypot(1, sigma) }),
  unscaled: (sigma) => ({ alpha: 1, sigma }),
  edm: (sigma) => ({ alpha: 1, sigma }),
  flow: (sigma) => ({ alpha: 1 - sigma, sigma }),
  circle: (sigma) => ({ alpha: Math.sqrt(1 - sigma ** 2), sigma }),
};

const spread = ({ alpha, sigma }: Level) => Math.hypot(alpha * DEVIATION, sigma);

/** The best guess of the picture in a latent. */
const guess = (x: number, level: Level) =>
  MEAN + ((level.alpha * DEVIATION ** 2) / spread(level) ** 2) * (x - level.alpha * MEAN);

/** What a model says that guesses so. */
function output(kind: Kind, type: string, x: number, level: Level): number {
  const { alpha, sigma } = level;
  const picture = guess(x, level);
  const noise = (x - alpha * picture) / sigma;
  if (kind === 'edm') {
    const data = 0.5;
    const both = Math.hypot(sigma, data);
    const skipped = (data / both) ** 2 * x;
    return ((type === 'v_prediction' ? -1 : 1) * (picture - skipped) * both) / (sigma * data);
  }
  switch (type) {
    case 'epsilon':
      return noise;
    case 'sample':
      return picture;
    case 'flow_prediction':
      return noise - picture;
    default:
      return (alpha * noise - sigma * picture) / Math.hypot(alpha, sigma);
  }
}

interface Sampled {
  x: number;
  first: Level;
  last: Level;
}

/** Up to the lowest level with noise, where the ODE has not ended. */
function run(
  scheduler: Scheduler,
  kind: Kind,
  compiled: CompiledSchedule,
  { x, noise = () => 0 }: { x: (first: Level) => number; noise?: (draw: number) => number },
): Sampled {
  const sigmas = compiled.sigmas as number[];
  const levels = compiled.rows.map((row, call) => {
    const middle = Math.sqrt(1 / (row.inputScale as number) ** 2 - 1);
    return LEVELS[kind](kind === 'unscaled' ? middle : (sigmas[call] as number));
  });
  const [first] = levels as [Level];
  const toZero = sigmas[levels.length] === 0;
  const rows = toZero ? compiled.rows.slice(0, -1) : compiled.rows;
  const end = runTable(
    attachPrograms(
      rows,
      rows.map(() => ({ kind: 'full' })),
    ),
    {
      x: Float64Array.of(x(first)),
      noise: (draw) => [noise(draw)],
      model: ({ input, row }) => {
        const sample = (input[0] as number) / (compiled.rows[row]?.inputScale as number);
        return [output(kind, scheduler.predictionType, sample, levels[row] as Level)];
      },
    },
  );
  const last = LEVELS[kind](sigmas[rows.length] as number);
  return { x: end[0] as number, first, last };
}

/** How far a run ends from where the ODE leads, in deviations. */
function errorOf(scheduler: Scheduler, kind: Kind, steps: number): number {
  const place = 1.3;
  const at = (level: Level) => level.alpha * MEAN + place * spread(level);
  const { x, last } = run(scheduler, kind, scheduler.compile({ steps }), { x: at });
  return Math.abs(x - at(last)) / spread(last);
}

/** Evenly in log sigma, so that halving the steps halves every one of them. */
const EVEN = { use_exponential_sigmas: true };
const SINGLE = { ...EVEN, final_sigmas_type: 'sigma_min' };
const INTEGRATES = { algorithm_type: 'dpmsolver', ...SINGLE };

const ORDERS: [name: string, kind: Kind, config: object, order: number][] = [
  ['Euler', 'unscaled', { ...SINGLE }, 1],
  ['KDPM2', 'unscaled', { ...EVEN }, 2],
  ['DPMSolverSinglestep', 'preserving', { ...SINGLE, solver_order: 1 }, 1],
  ['DPMSolverSinglestep', 'preserving', { ...SINGLE, solver_order: 2 }, 2],
  ['DPMSolverSinglestep', 'preserving', { ...SINGLE, solver_order: 2, solver_type: 'heun' }, 2],
  ['DPMSolverSinglestep', 'preserving', { ...SINGLE, solver_order: 3 }, 3],
  ['DPMSolverSinglestep', 'preserving', { ...INTEGRATES, solver_order: 2 }, 2],
  ['DPMSolverSinglestep', 'preserving', { ...INTEGRATES, solver_order: 3 }, 3],
  ['DEIS', 'preserving', { ...EVEN, solver_order: 1 }, 1],
  ['DEIS', 'preserving', { ...EVEN, solver_order: 2 }, 2],
  ['DEIS', 'preserving', { ...EVEN, prediction_type: 'sample', solver_order: 3 }, 2],
  ['SASolver', 'preserving', { ...EVEN, tau_func: 0, predictor_order: 1, corrector_order: 1 }, 1],
  ['SASolver', 'preserving', { ...EVEN, tau_func: 0 }, 2],
  ['SASolver', 'preserving', { ...EVEN, tau_func: 0, prediction_type: 'v_prediction' }, 2],
  ['SASolver', 'preserving', { ...EVEN, tau_func: 0, algorithm_type: 'noise_prediction' }, 2],
  ['SASolver', 'preserving', { ...EVEN, tau_func: 0, predictor_order: 3, corrector_order: 4 }, 2],
  ['DPMSolverMultistepInverse', 'preserving', { ...EVEN, solver_order: 1 }, 1],
  ['DPMSolverMultistepInverse', 'preserving', { ...EVEN, solver_order: 2 }, 2],
  ['DPMSolverMultistepInverse', 'preserving', { ...EVEN, algorithm_type: 'dpmsolver' }, 2],
  ['EDMEuler', 'edm', { sigma_schedule: 'exponential', final_sigmas_type: 'sigma_min' }, 1],
  ['EDMEuler', 'edm', { prediction_type: 'v_prediction', final_sigmas_type: 'sigma_min' }, 1],
  ['EDMDPMSolver', 'edm', { sigma_schedule: 'exponential', final_sigmas_type: 'sigma_min' }, 2],
  ['FlowMatchEuler', 'flow', {}, 1],
  ['IPNDM', 'circle', {}, 1],
];

describe('a sampler’s error shrinks by its order', () => {
  test.each(ORDERS)('%s, %s, %j: %i', (name, kind, config, order) => {
    const scheduler = stable(name, config);
    // Whole groups of two and of three calls.
    const [coarse, fine] = [errorOf(scheduler, kind, 60), errorOf(scheduler, kind, 120)];
    expect(coarse).toBeLessThan(0.12);
    expect(coarse / fine).toBeGreaterThan(0.8 * 2 ** order);
  });

  test.each(['DPMSolverSinglestep', 'DEIS', 'EDMDPMSolver'])('%s of a higher order is better', (name) => {
    const kind = name === 'EDMDPMSolver' ? 'edm' : 'preserving';
    const errors = [1, 2, 3].map((solver_order) => {
      const spacing = kind === 'edm' ? { sigma_schedule: 'exponential' } : EVEN;
      const scheduler = stable(name, { ...spacing, solver_order, final_sigmas_type: 'sigma_min' });
      return errorOf(scheduler, kind, 48);
    }) as [number, number, number];
    expect(errors[1]).toBeLessThan(errors[0] / 3);
    expect(errors[2]).toBeLessThan(errors[1] / 1.5);
  });
});

/** The variance that a run ends with: samplers are linear in the first latents and the draws, as this model is. */
function varianceOf(scheduler: Scheduler, kind: Kind, steps: number) {
  const compiled = scheduler.compile({ steps });
  const draws = compiled.noiseDraws;
  const respond = (start: number, drawn?: number) =>
    run(scheduler, kind, compiled, { x: () => start, noise: (draw) => (draw === drawn ? 1 : 0) });
  const still = respond(0);
  let variance = ((respond(1).x - still.x) * spread(still.first)) ** 2;
  for (let draw = 0; draw < draws; draw++) variance += (respond(0, draw).x - still.x) ** 2;
  const mean = respond(still.first.alpha * MEAN).x;
  return { variance, mean, last: still.last };
}

const STOCHASTIC: [name: string, kind: Kind, config: object][] = [
  ['EulerAncestral', 'unscaled', {}],
  ['KDPM2Ancestral', 'unscaled', { use_karras_sigmas: true }],
  ['DPMSolver', 'preserving', { algorithm_type: 'sde-dpmsolver++' }],
  ['DPMSolverSinglestep', 'preserving', { algorithm_type: 'sde-dpmsolver++' }],
  ['DPMSolverSinglestep', 'preserving', { algorithm_type: 'sde-dpmsolver++', solver_order: 3 }],
  ['SASolver', 'preserving', {}],
  ['SASolver', 'preserving', { tau_func: 1 }],
  ['SASolver', 'preserving', { tau_func: 1, algorithm_type: 'noise_prediction' }],
  ['SASolver', 'preserving', { tau_func: 0.4, predictor_order: 3, corrector_order: 4 }],
  ['EDMDPMSolver', 'edm', { algorithm_type: 'sde-dpmsolver++' }],
  ['EDMEuler', 'edm', {}],
];

describe('pictures are as different as those of the training', () => {
  test.each(STOCHASTIC)('%s, %s, %j', (name, kind, config) => {
    const { variance, mean, last } = varianceOf(stable(name, config), kind, 100);
    expect(Math.sqrt(variance) / spread(last)).toBeGreaterThan(0.9);
    expect(Math.sqrt(variance) / spread(last)).toBeLessThan(1.1);
    expect(mean).toBeCloseTo(last.alpha * MEAN, 2);
  });
});
