import { describe, expect, test } from '@jest/globals';
import { Scheduler, schedulerNames } from '../lib/schedulers/index.js';
import { spaceSolverTimesteps, spaceTimesteps, TIMESTEP_SPACINGS } from '../lib/schedulers/spacing.js';

/** Where numpy's arange makes one value too many for trailing, and the ends of the ranges. */
const COUNTS = [1, 2, 3, 13, 61, 103, 121, 201, 501, 999, 1000];

/** The samplers whose own code has other spacings. */
const OTHERS = [
  ...['LCMScheduler', 'TCDScheduler', 'LatentDDIMScheduler', 'OriginalDDIMScheduler'],
  ...['CosineDPMSolverMultistepScheduler', 'EDMDPMSolverMultistepScheduler', 'EDMEulerScheduler'],
  ...['DDIMInverseScheduler', 'DPMSolverMultistepInverseScheduler'],
  ...['FlowMatchEulerDiscreteScheduler', 'IPNDMScheduler'],
];

/** Empty, or what is wrong with a list of timesteps. */
function problem(timesteps: readonly number[], steps: number, trainSteps: number): string[] {
  const at = `${steps} of ${trainSteps}`;
  if (timesteps.length !== steps) return [`${timesteps.length} timesteps for ${at}`];
  const outside = timesteps.find((t) => !(t >= 0 && t < trainSteps));
  if (outside !== undefined) return [`timestep ${outside} for ${at}`];
  const rises = timesteps.some((t, i) => i > 0 && t > (timesteps[i - 1] as number));
  return rises ? [`a rise for ${at}`] : [];
}

describe.each(TIMESTEP_SPACINGS)('%s', (spacing) => {
  test.each([1000, 1, 2, 37, 100, 500, 4096])('exactly as many timesteps as steps, of %i', (trainSteps) => {
    const problems: string[] = [];
    const stride = trainSteps > 1000 ? 13 : 1;
    for (let steps = 1; steps <= Math.min(1000, trainSteps); steps += stride) {
      const options = { spacing, steps, trainSteps, stepsOffset: 0 };
      problems.push(...problem(spaceTimesteps(options), steps, trainSteps));
      // With room for one more, which is left out.
      if (spacing === 'leading' && steps === trainSteps) continue;
      for (const lastTimestep of [trainSteps, Math.ceil(trainSteps * 0.99)]) {
        if (spacing === 'leading' && steps >= lastTimestep) continue;
        problems.push(...problem(spaceSolverTimesteps({ ...options, lastTimestep }), steps, trainSteps));
      }
    }
    expect(problems.slice(0, 3)).toEqual([]);
  });

  test.each(schedulerNames().filter((name) => !OTHERS.includes(name)))('%s', (name) => {
    const scheduler = Scheduler.fromConfig({
      _class_name: name,
      timestep_spacing: spacing,
      skip_prk_steps: true,
      beta_schedule: 'scaled_linear',
    });
    for (const steps of COUNTS) {
      if (spacing === 'leading' && steps === 1000 && /DPMSolverM|UniPC|DEIS|SASolver/.test(name)) {
        // One timestep is left out at the end: 1000 do not fit.
        expect(() => scheduler.compile({ steps })).toThrow(
          expect.objectContaining({ code: 'ERR_DEEPCACHE_INVALID_ARGUMENT' }),
        );
        continue;
      }
      // RePaint's jumps make calls besides.
      const { timesteps, rows } = scheduler.compile({ steps, jumpNSample: 1 });
      const single = /PNDM/.test(name) && steps > 1 ? steps + 1 : steps;
      const calls = scheduler.order === 2 ? 2 * steps - 1 : single;
      expect(rows).toHaveLength(calls);
      expect(timesteps.filter((t) => !(t >= 0 && t <= 999))).toEqual([]);
    }
  });
});

test('more steps than training steps are refused', () => {
  for (const name of schedulerNames()) {
    const scheduler = Scheduler.fromConfig({
      _class_name: name,
      num_train_timesteps: 40,
      original_inference_steps: 40,
    });
    expect(() => scheduler.compile({ steps: 41 })).toThrow(
      expect.objectContaining({ code: 'ERR_DEEPCACHE_INVALID_ARGUMENT' }),
    );
  }
});
