import { describe, expect, test } from '@jest/globals';
import { attachPrograms } from '../lib/deepcache/index.js';
import { runTable, Scheduler } from '../lib/schedulers/index.js';
import { expectClose, wavy } from './sample.js';

const repaint = (config: object = {}) => Scheduler.fromConfig({ _class_name: 'RePaint', ...config });

/** A small training schedule, for which everything can be written down. */
const SMALL = { num_train_timesteps: 12 };
const JUMPS = { steps: 6, jumpLength: 2, jumpNSample: 2 };

describe('turns', () => {
  test('go back where a jump begins, as often as was asked for', () => {
    const compiled = repaint(SMALL).compile(JUMPS);
    const turns = [5, 4, 3, 2, 3, 4, 3, 2, 1, 0, 1, 2, 1, 0].map((step) => 2 * step);
    expect(compiled.schedulerTimesteps).toEqual(turns);
    const calls = [5, 4, 3, 2, 3, 2, 1, 0, 1, 0].map((step) => 2 * step);
    expect(compiled.timesteps).toEqual(calls);
    expect(compiled.rows.map((row) => row.timestep)).toEqual(calls);
    expect(compiled.steps).toEqual(calls.map((_, i) => i + 1));
    // Of two training steps each.
    expect(compiled.rows.map(({ after = [] }) => after.length)).toEqual([0, 0, 0, 4, 0, 0, 0, 4, 0, 0]);
    expect(compiled.noiseDraws).toBe(calls.length + 8);
    expect(compiled.noiseLevels.map(({ sqrtAlpha }) => sqrtAlpha)).toEqual(
      calls.map((t) => Math.sqrt(repaint(SMALL).alphasCumprod[t] as number)),
    );
  });

  test('are 4570 by default, in 250 steps, of which 2410 are calls', () => {
    const compiled = repaint().compile({ steps: 250 });
    expect([compiled.schedulerTimesteps.length, compiled.timesteps.length]).toEqual([4570, 2410]);
  });

  test('without jumps are those of DDIM', () => {
    const { timesteps, rows } = repaint().compile({ steps: 50, jumpNSample: 1 });
    expect(timesteps).toEqual(Scheduler.fromConfig({ _class_name: 'DDIM' }).compile({ steps: 50 }).timesteps);
    expect(rows.every(({ after }) => after === undefined)).toBe(true);
  });

  test.each([{ jumpNSample: 100_000 }, { jumpLength: 1, jumpNSample: 99_999 }])(
    '%j are too many',
    (jumps) => {
      expect(() => repaint().compile({ steps: 250, ...jumps })).toThrow(/too long a run .* 250 steps/);
    },
  );
});

/** Algorithm 1 of the paper with the step of DDIM, as diffusers has it, of several numbers and a mask of 0 and 1. */
function painted(scheduler: Scheduler, { eta, x, picture, mask, draw }: Painting): number[] {
  const { alphasCumprod, betas, trainSteps } = scheduler;
  const stride = trainSteps / JUMPS.steps;
  const { schedulerTimesteps: turns } = scheduler.compile(JUMPS);
  let sample = x;
  let draws = 0;
  for (const [i, t] of turns.entries()) {
    const before = turns[i - 1] ?? Number.POSITIVE_INFINITY;
    if (t > before) {
      for (let k = 0; k < stride; k++) {
        const [beta, noise] = [betas[before + k] as number, draw(draws++)];
        sample = sample.map((v, j) => Math.sqrt(1 - beta) * v + Math.sqrt(beta) * (noise[j] as number));
      }
      continue;
    }
    const [a, b] = [alphasCumprod[t] as number, t >= stride ? (alphasCumprod[t - stride] as number) : 1];
    const deviation = eta * Math.sqrt(((1 - b) / (1 - a)) * (1 - a / b));
    const noise = draw(draws++);
    sample = sample.map((v, j) => {
      const said = wavy(v, t);
      const clean = Math.min(1, Math.max(-1, (v - Math.sqrt(1 - a) * said) / Math.sqrt(a)));
      const z = noise[j] as number;
      const made = Math.sqrt(b) * clean + Math.sqrt(1 - b - deviation ** 2) * said + deviation * z;
      const known = Math.sqrt(b) * (picture[j] as number) + Math.sqrt(1 - b) * z;
      return mask[j] === 1 ? made : known;
    });
  }
  return sample;
}

interface Painting {
  eta: number;
  x: number[];
  picture: number[];
  mask: number[];
  draw: (index: number) => number[];
}

test.each([0, 0.5, 1])('the paper’s algorithm, eta %d', (eta) => {
  const scheduler = repaint({ ...SMALL, beta_end: 0.3 });
  const painting = {
    eta,
    x: [0.4, -1.3, 2, 0.1],
    picture: [0.9, -0.2, 0.5, -0.7],
    mask: [1, 0, 1, 0],
    draw: (index: number) => [1, 2, 3, 4].map((i) => Math.sin(7 * index + i)),
  };
  const { rows } = scheduler.compile({ ...JUMPS, eta });
  const table = attachPrograms(
    rows,
    rows.map(() => ({ kind: 'full' })),
  );
  const run = (others: object = {}) =>
    runTable(table, {
      x: Float64Array.from(painting.x),
      mask: painting.mask,
      initLatents: painting.picture,
      noise: painting.draw,
      model: ({ input, timestep }) => input.map((v) => wavy(v, timestep[0] as number)),
      ...others,
    });
  const made = [...run()];
  expectClose(made, painted(scheduler, painting));
  // What is known ends as it was.
  expect([made[1], made[3]]).toEqual([-0.2, -0.7]);
  expect(() => run({ mask: undefined })).toThrow('mask must have 4 values, got none');
});

test('the configuration’s eta counts where the run says none', () => {
  const own = repaint({ eta: 0.3 }).compile({ steps: 20 });
  expect(own.rows).toEqual(repaint().compile({ steps: 20, eta: 0.3 }).rows);
  expect(own.rows).not.toEqual(repaint().compile({ steps: 20 }).rows);
});

test.each([
  [{ steps: 10, strengthStart: 2 }, /strengthStart cannot be used with RePaintScheduler/],
  [{ steps: 10, eta: 2 }, /eta must be a number from 0 to 1, got 2/],
  [{ timesteps: [900, 100] }, /timesteps of your own cannot be used/],
])('%j is refused', (options, message) => {
  expect(() => repaint().compile(options)).toThrow(message);
});
