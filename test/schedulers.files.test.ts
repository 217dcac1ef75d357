import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { FolderSource } from '../lib/models/folder-source.js';
import {
  readScheduler,
  SCHEDULER_FILE,
  type SchedulerReading,
} from '../lib/pipelines/loading/scheduler-file.js';
import { EulerDiscreteScheduler, PNDMScheduler } from '../lib/schedulers/index.js';

// What is made of a scheduler_config.json, and what is said about it.

const SD = {
  num_train_timesteps: 1000,
  beta_start: 0.00085,
  beta_end: 0.012,
  beta_schedule: 'scaled_linear',
  steps_offset: 1,
  clip_sample: false,
};

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'deepcache-schedulers-'));
  mkdirSync(join(folder, 'scheduler'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Reads a file of these fields for a pipeline that corrects nothing. */
async function read(config: object, how: Partial<SchedulerReading> = {}) {
  writeFileSync(join(folder, SCHEDULER_FILE), JSON.stringify({ ...SD, ...config }));
  return readScheduler(new FolderSource(folder), { pipeline: 'StableDiffusionXLPipeline', ...how });
}

async function failure(work: Promise<unknown>): Promise<{ code?: string; message: string }> {
  try {
    await work;
  } catch (error) {
    return error as Error;
  }
  throw new Error('nothing was rejected');
}

describe('the class', () => {
  test('is the one that the index names', async () => {
    const file = { _class_name: 'PNDMScheduler', skip_prk_steps: true };
    const { scheduler, ignored, notes } = await read(file, { className: 'EulerDiscreteScheduler' });
    expect(scheduler).toBeInstanceOf(EulerDiscreteScheduler);
    expect(scheduler.config).toMatchObject({ beta_end: 0.012, timestep_spacing: 'linspace' });
    expect(notes).toEqual([]);
    expect(ignored).toEqual([
      expect.stringMatching(
        /scheduler_config\.json: it is of class "PNDMScheduler", model_index\.json names EulerDiscreteScheduler, which is taken; ignored, as that does not have it: "skip_prk_steps"$/,
      ),
    ]);
  });

  test('is the file’s where the index names none, and either may be missing', async () => {
    expect((await read({ _class_name: 'PNDMScheduler' })).scheduler).toBeInstanceOf(PNDMScheduler);
    expect((await read({}, { className: 'PNDMScheduler' })).scheduler).toBeInstanceOf(PNDMScheduler);
    expect(await failure(read({}))).toMatchObject({
      code: 'ERR_DEEPCACHE_INVALID_CONFIG',
      message: expect.stringContaining('_class_name'),
    });
  });

  test.each(['UnCLIPScheduler', 'KarrasVeScheduler', 'SomeNewScheduler'])(
    '%s is told about with the others, and does not stand in the way of one',
    async (name) => {
      const error = await failure(read({ _class_name: name }));
      expect(error.code).toBe('ERR_DEEPCACHE_UNSUPPORTED');
      expect(error.message).toContain(join(folder, SCHEDULER_FILE));
      expect(error.message).toContain(name);
      expect(error.message).toMatch(/option scheduler \(--scheduler\): CosineDPMSolverMultistepScheduler, /);
      for (const choice of ['EulerDiscrete', { _class_name: 'EulerDiscrete' }, 'Euler']) {
        const { scheduler } = await read({ _class_name: name, beta_end: 0.013 }, { choice });
        expect(scheduler).toBeInstanceOf(EulerDiscreteScheduler);
        expect(scheduler.config.beta_end).toBe(0.013);
      }
      const error2 = await failure(read({ _class_name: name }, { choice: { beta_end: 0.02 } }));
      expect(error2.code).toBe('ERR_DEEPCACHE_UNSUPPORTED');
    },
  );

  test('what another class would refuse does not stand in the way either', async () => {
    const file = { _class_name: 'DPMSolverMultistepScheduler', variance_type: 'learned_range' };
    expect((await failure(read(file))).message).toContain('variance_type');
    const { scheduler } = await read(file, { choice: 'EulerDiscrete' });
    expect(scheduler).toBeInstanceOf(EulerDiscreteScheduler);
  });
});

describe('fields that are not obeyed', () => {
  test('are named', async () => {
    const { ignored } = await read({
      _class_name: 'EulerDiscreteScheduler',
      flow_shift: 3,
      brand_new_field: 3,
      toString: 4,
    });
    const path = join(folder, SCHEDULER_FILE);
    expect(ignored).toEqual(
      ['brand_new_field', 'toString'].map(
        (field) => `${path}: "${field}" is ignored: this version does not have it`,
      ),
    );
  });

  test('are told about once each, up to a number', async () => {
    const many = Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`new_field_${i}`, i]));
    const { ignored } = await read({
      _class_name: 'EulerDiscreteScheduler',
      ['y'.repeat(10_000)]: 1,
      ...many,
    });
    expect(ignored).toHaveLength(21);
    expect(ignored[20]).toMatch(/: 1981 more fields are ignored$/);
    expect(ignored[0]?.length).toBeLessThan(250);
  });

  test.each([
    ['HeunDiscreteScheduler', { rescale_betas_zero_snr: true }],
    ['EulerAncestralDiscreteScheduler', { use_karras_sigmas: true }],
    ['PNDMScheduler', { use_beta_sigmas: true }],
    ['LMSDiscreteScheduler', { final_sigmas_type: 'sigma_min' }],
    ['EulerDiscreteScheduler', { use_flow_sigmas: true }],
  ])('of %s in diffusers neither, as %j, are a remark', async (name, field) => {
    const { ignored, notes } = await read({ _class_name: name, ...field });
    expect(ignored).toEqual([]);
    expect(notes).toEqual([
      `${join(folder, SCHEDULER_FILE)}: "${Object.keys(field)[0]}" is ignored: ${name} does not have it`,
    ]);
  });

  test('are not those that change nothing, nor those of other classes', async () => {
    const { ignored, notes } = await read({
      _class_name: 'DPMSolverMultistepScheduler',
      _diffusers_version: '0.35.0',
      use_flow_sigmas: false,
      flow_shift: 1,
      use_dynamic_shifting: false,
      time_shift_type: 'exponential',
      shift_terminal: null,
      skip_prk_steps: true,
      set_alpha_to_one: false,
    });
    expect({ ignored, notes }).toEqual({ ignored: [], notes: [] });
  });
});

describe('old files', () => {
  const OLD = { _class_name: 'DDIMScheduler', steps_offset: undefined, clip_sample: undefined };

  test.each(['StableDiffusionPipeline', 'StableDiffusionImg2ImgPipeline'])(
    'are corrected for %s',
    async (pipeline) => {
      const { scheduler, notes } = await read(OLD, { pipeline });
      expect(scheduler.config).toMatchObject({ steps_offset: 1, clip_sample: false });
      expect(notes).toEqual([
        expect.stringContaining('scheduler_config.json: "steps_offset" is missing, taken as 1'),
        expect.stringContaining('scheduler_config.json: "clip_sample" is missing, taken as false'),
      ]);
      const explicit = { ...OLD, steps_offset: 0, clip_sample: true };
      const told = await read(explicit, { pipeline });
      expect(told.scheduler.config).toMatchObject({ steps_offset: 1, clip_sample: false });
      expect(told.notes[0]).toContain('"steps_offset" is 0, taken as 1');
      // Listed as left at their defaults.
      const defaults = { ...explicit, _use_default_values: ['steps_offset', 'clip_sample'] };
      expect((await read(defaults, { pipeline })).scheduler.config).toMatchObject({
        steps_offset: 1,
        clip_sample: false,
      });
    },
  );

  test('inpainting corrects Runge-Kutta steps instead of clipping', async () => {
    const pipeline = 'StableDiffusionInpaintPipeline';
    const { scheduler } = await read({ ...OLD, _class_name: 'PNDMScheduler' }, { pipeline });
    expect(scheduler.config).toMatchObject({ steps_offset: 1, skip_prk_steps: true });
    expect((await read(OLD, { pipeline })).scheduler.config.clip_sample).toBe(true);
  });

  test.each(['StableDiffusionXLPipeline', 'DDPMPipeline', 'TextToVideoZeroPipeline', 'toString'])(
    'are left alone for %s',
    async (pipeline) => {
      const { scheduler, notes } = await read(OLD, { pipeline });
      expect(scheduler.config).toMatchObject({ steps_offset: 0, clip_sample: true });
      expect(notes).toEqual([]);
    },
  );

  test('what the user says counts more', async () => {
    const { scheduler } = await read(OLD, {
      pipeline: 'StableDiffusionPipeline',
      choice: { steps_offset: 0, clip_sample: true },
    });
    expect(scheduler.config).toMatchObject({ steps_offset: 0, clip_sample: true });
  });
});

describe('wrong values', () => {
  test.each([
    ['num_train_timesteps', 1e8],
    ['num_train_timesteps', 4e9],
    ['num_train_timesteps', 1.5],
    ['num_train_timesteps', '1000'],
    ['num_train_timesteps', -1],
    ['beta_start', Number.POSITIVE_INFINITY],
    ['beta_start', 0],
    ['beta_end', 1],
    ['beta_end', -0.1],
    ['trained_betas', [0.1, 0.2]],
    ['trained_betas', Array(1000).fill(2)],
    ['trained_betas', 'x'.repeat(100_000)],
    ['steps_offset', -1],
    ['steps_offset', 1e9],
    ['prediction_type', { a: 1 }],
    ['timestep_spacing', 7],
    ['solver_order', 1e9],
    ['solver_order', 0],
    ['dynamic_thresholding_ratio', 1.5],
    ['sample_max_value', 0],
    ['use_karras_sigmas', 'yes'],
    ['final_sigmas_type', 'one'],
    ['sigma_min', -1],
    ['sigma_max', 'large'],
    ['lambda_min_clipped', 'low'],
  ])('%s of %j is named with the file', async (field, value) => {
    const config = { _class_name: 'DPMSolverMultistepScheduler', thresholding: true, [field]: value };
    const error = await failure(read(config));
    expect(error).toMatchObject({ code: 'ERR_DEEPCACHE_INVALID_CONFIG' });
    expect(error.message).toContain(join(folder, SCHEDULER_FILE));
    expect(error.message).toContain(`: ${field} `);
    expect(error.message.length).toBeLessThan(400);
  });

  test('that the user set are the user’s', async () => {
    const file = { _class_name: 'DPMSolverMultistepScheduler' };
    const error = await failure(read(file, { choice: { solver_order: 9 } }));
    expect(error.message).toMatch(/^scheduler: DPMSolverMultistepScheduler: solver_order must be/);
  });
});
