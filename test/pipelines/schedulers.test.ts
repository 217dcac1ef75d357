import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  ALIGN_YOUR_STEPS,
  DDIMScheduler,
  EulerDiscreteScheduler,
  Scheduler,
} from '../../lib/entries/schedulers.js';
import type { GenerateOptions, StableDiffusionPipeline } from '../../lib/index.js';
import { ownSteps } from '../../lib/pipelines/inputs/own-steps.js';
import { distance, latentSchedulerNames, latentsOf, loadTiny, rejection, sameBits } from './tiny.js';

// The sampler of a run, of a pipeline, and of a loaded folder.

let pipe: StableDiffusionPipeline;
beforeAll(async () => {
  pipe = await loadTiny();
});
afterAll(() => pipe.dispose());

test.each(latentSchedulerNames())('%s runs, and repeats itself', async (scheduler) => {
  const latents = await latentsOf(pipe, { scheduler, steps: 5 });
  expect(latents.every(Number.isFinite)).toBe(true);
  expect(sameBits(await latentsOf(pipe, { scheduler, steps: 5 }), latents)).toBe(true);
});

test('a name, a configuration and an instance are the same', async () => {
  const named = await latentsOf(pipe, { scheduler: 'DDIM' });
  for (const scheduler of [
    'DDIMScheduler',
    'ddim',
    { _class_name: 'DDIMScheduler' },
    { ...DDIMScheduler.fromConfig(pipe.scheduler).toConfig() },
    DDIMScheduler.fromConfig(pipe.scheduler),
  ]) {
    expect(sameBits(await latentsOf(pipe, { scheduler }), named)).toBe(true);
  }
  expect(sameBits(await latentsOf(pipe), named)).toBe(false);
});

test('a configuration without a class changes the sampler that is there', async () => {
  const own = await latentsOf(pipe);
  expect(sameBits(await latentsOf(pipe, { scheduler: { steps_offset: 1 } }), own)).toBe(true);
  expect(sameBits(await latentsOf(pipe, { scheduler: { steps_offset: 0 } }), own)).toBe(false);
});

test("a run of its own sampler leaves the pipeline's alone", async () => {
  const own = await latentsOf(pipe);
  await latentsOf(pipe, { scheduler: 'Euler' });
  expect(pipe.scheduler.className).toBe('PNDMScheduler');
  expect(sameBits(await latentsOf(pipe), own)).toBe(true);
});

test('pipe.scheduler may be replaced', async () => {
  const expected = await latentsOf(pipe, { scheduler: 'Euler' });
  const own = pipe.scheduler;
  pipe.scheduler = EulerDiscreteScheduler.fromConfig(own);
  expect(sameBits(await latentsOf(pipe), expected)).toBe(true);
  pipe.scheduler = own;
});

describe('of a folder', () => {
  test.each<[string, NonNullable<GenerateOptions['scheduler']>]>([
    ['name', 'Euler'],
    ['configuration', { _class_name: 'EulerDiscreteScheduler' }],
  ])('by %s', async (_kind, scheduler) => {
    const other = await loadTiny({ scheduler });
    expect(other.scheduler.className).toBe('EulerDiscreteScheduler');
    expect(sameBits(await latentsOf(other), await latentsOf(pipe, { scheduler: 'Euler' }))).toBe(true);
    await other.dispose();
  });

  test('by instance', async () => {
    const scheduler = Scheduler.fromConfig({ _class_name: 'DDIMScheduler' });
    const other = await loadTiny({ scheduler });
    expect(other.scheduler).toBe(scheduler);
    await other.dispose();
  });

  test('an unknown name is refused', async () => {
    expect(await rejection(loadTiny({ scheduler: { _class_name: 'Nope' } }))).toMatchObject({
      code: 'ERR_DEEPCACHE_UNSUPPORTED',
    });
  });
});

test("timesteps and sigmas of one's own", async () => {
  const timesteps = [900, 500, 100];
  const events: number[] = [];
  await latentsOf(pipe, {
    scheduler: 'LCM',
    steps: undefined,
    timesteps,
    onStep: ({ timestep }: { timestep: number }) => events.push(timestep),
  } as object);
  expect(events).toEqual(timesteps);
  const sigmas = await latentsOf(pipe, {
    scheduler: 'Euler',
    steps: undefined,
    sigmas: [14, 3, 0.5],
  } as object);
  expect(sigmas.every(Number.isFinite)).toBe(true);
});

test('eta makes DDIM noisy, and the noise comes from the seed', async () => {
  const run = { scheduler: 'DDIM', eta: 1 };
  const noisy = await latentsOf(pipe, run);
  expect(sameBits(noisy, await latentsOf(pipe, { scheduler: 'DDIM' }))).toBe(false);
  expect(sameBits(noisy, await latentsOf(pipe, run))).toBe(true);
  expect(
    sameBits(
      await latentsOf(pipe, { scheduler: 'DDIM', eta: 0 }),
      await latentsOf(pipe, { scheduler: 'DDIM' }),
    ),
  ).toBe(true);
});

describe('Align Your Steps', () => {
  const timestepsOf = async (options: object) => {
    const events: number[] = [];
    const onStep = ({ timestep }: { timestep: number }) => void events.push(timestep);
    await latentsOf(pipe, { steps: undefined, onStep, ...options });
    return events;
  };

  test('are ten steps by name', async () => {
    const named = await timestepsOf({ scheduler: 'DPM++ 2M', timesteps: 'AYS' });
    expect(named).toEqual([...ALIGN_YOUR_STEPS.sd.timesteps]);
    expect(await timestepsOf({ scheduler: 'DPM++ 2M', timesteps: 'AYS', steps: 10 })).toEqual(named);
    const sigmas = await timestepsOf({ scheduler: 'Euler', sigmas: 'AYS' });
    expect(sigmas).toEqual(await timestepsOf({ scheduler: 'Euler', sigmas: ALIGN_YOUR_STEPS.sd.sigmas }));
  });

  test('are refused in another number, and in another spelling', async () => {
    const run = (options: object) => rejection(latentsOf(pipe, { scheduler: 'Euler', ...options }));
    expect(await run({ timesteps: 'AYS', steps: 20 })).toMatchObject({
      code: 'ERR_DEEPCACHE_INVALID_ARGUMENT',
      message: "steps must be 10 or left out with timesteps 'AYS', got 20",
    });
    expect((await run({ sigmas: 'ais', steps: undefined })).message).toMatch(/^sigmas must be a list/);
  });

  test('are each model’s own', () => {
    expect(ownSteps('xl', { timesteps: 'AYS' }).timesteps?.slice(0, 3)).toEqual([999, 845, 730]);
    expect(ownSteps('svd', { sigmas: 'AYS' }).sigmas?.[0]).toBe(700);
    expect(() => ownSteps('svd', { timesteps: 'AYS' })).toThrow(/^timesteps cannot be 'AYS' for this model/);
    for (const { timesteps = [], sigmas } of Object.values(ALIGN_YOUR_STEPS) as {
      timesteps?: readonly number[];
      sigmas: readonly number[];
    }[]) {
      for (const list of [timesteps, sigmas]) expect([...list].sort((a, b) => b - a)).toEqual([...list]);
      expect(sigmas).toHaveLength(10);
    }
  });
});

test('TCD is deterministic unless a run says eta', async () => {
  const plain = await latentsOf(pipe, { scheduler: 'TCD' });
  expect(sameBits(await latentsOf(pipe, { scheduler: 'TCD', eta: 0 }), plain)).toBe(true);
  expect(distance(await latentsOf(pipe, { scheduler: 'TCD', eta: 0.3 }), plain)).toBeGreaterThan(1e-3);
});

test('noise_sampler_seed fixes the motion of DPM++ SDE, whatever the seed of the run', async () => {
  const run = (noise_sampler_seed: number | null, seed: number) =>
    latentsOf(pipe, {
      scheduler: { _class_name: 'DPM++ SDE', noise_sampler_seed },
      seed,
      latents: { data: new Float32Array(256).fill(0.5), shape: [1, 4, 8, 8] },
    });
  expect(sameBits(await run(5, 1), await run(5, 2))).toBe(true);
  expect(distance(await run(null, 1), await run(null, 2))).toBeGreaterThan(1e-3);
  // Without one it is the run's.
  expect(sameBits(await run(null, 5), await run(5, 2))).toBe(true);
});

describe("the sampler's own options", () => {
  const euler = { scheduler: 'Euler', steps: 5 } as const;

  test('churn adds noise, of the seed, and none of it is none', async () => {
    const plain = await latentsOf(pipe, euler);
    expect(sameBits(await latentsOf(pipe, { ...euler, schedulerOptions: { sChurn: 0 } }), plain)).toBe(true);
    const churned = await latentsOf(pipe, { ...euler, schedulerOptions: { sChurn: 2 } });
    expect(distance(churned, plain)).toBeGreaterThan(1e-3);
    expect(sameBits(await latentsOf(pipe, { ...euler, schedulerOptions: { sChurn: 2 } }), churned)).toBe(
      true,
    );
    // Above all sigmas there is nothing to add it to.
    const none = { sChurn: 2, sTmin: 1e6 };
    expect(sameBits(await latentsOf(pipe, { ...euler, schedulerOptions: none }), plain)).toBe(true);
  });

  test('LMS of order 1 is Euler', async () => {
    const lms = { scheduler: 'LMS', steps: 5 } as const;
    const expected = await latentsOf(pipe, {
      scheduler: { _class_name: 'Euler', timestep_spacing: 'linspace' },
      steps: 5,
    });
    const first = await latentsOf(pipe, {
      scheduler: { _class_name: 'LMS', timestep_spacing: 'linspace' },
      steps: 5,
      schedulerOptions: { order: 1 },
    });
    expect(distance(first, expected)).toBeLessThan(1e-4);
    expect(distance(await latentsOf(pipe, lms), expected)).toBeGreaterThan(1e-4);
  });

  test('they are part of the settings', async () => {
    const { settings } = await pipe.generate({
      ...{ prompt: 'a', output: 'latent' as const, seed: 1 },
      ...{ ...euler, schedulerOptions: { sChurn: 2, sNoise: 1.003 } },
    });
    const json = JSON.stringify({ sChurn: 2, sNoise: 1.003 });
    expect(settings[0]).toContain(`Sampler options: ${JSON.stringify(json)}`);
    const { settings: without } = await pipe.generate({ prompt: 'a', output: 'latent', ...euler });
    expect(without[0]).not.toContain('Sampler options');
  });
});
