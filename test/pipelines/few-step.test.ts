import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { DISTILLATIONS, type Distillation, recipeOf } from '../../lib/distilled/recipes.js';
import {
  DiffusionPipeline,
  Image,
  LatentConsistencyModelImg2ImgPipeline,
  LatentConsistencyModelPipeline,
  pipelineForInputs,
  StableDiffusionImg2ImgPipeline,
  StableDiffusionInpaintPipeline,
  StableDiffusionPipeline,
} from '../../lib/index.js';
import { Scheduler } from '../../lib/schedulers/index.js';
import { AdapterFolder, values } from '../adapters/adapter-files.js';
import { runCli } from '../cli-run.js';
import { type MadeModel, writeSd, writeXl } from './made-models.js';
import { distance, latentsOf, loadTiny, rejection } from './tiny.js';

// Models that were distilled to need few steps.

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'deepcache-few-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const LCM = {
  _class_name: 'LCMScheduler',
  _diffusers_version: '0.40.0',
  original_inference_steps: 50,
  set_alpha_to_one: false,
};
const lcmModel: MadeModel = {
  index: {
    _class_name: 'LatentConsistencyModelPipeline',
    scheduler: ['diffusers', 'LCMScheduler'],
  },
  unet: { time_cond_proj_dim: 16 },
  scheduler: LCM,
};
const picture = new Image({
  width: 64,
  height: 64,
  data: Uint8Array.from({ length: 64 * 64 * 3 }, (_, i) => (i * 13) % 256),
});

// biome-ignore lint/suspicious/noExplicitAny: pipelines differ in their options and parts
const load = (model: string, options = {}): Promise<DiffusionPipeline<any, any>> =>
  DiffusionPipeline.fromPretrained(model, { device: 'cpu', log: () => {}, ...options });

describe('a latent consistency model', () => {
  let pipe: LatentConsistencyModelPipeline;
  let place: string;
  beforeAll(async () => {
    place = await writeSd(join(folder, 'lcm'), lcmModel);
    pipe = (await load(place)) as LatentConsistencyModelPipeline;
  });
  afterAll(() => pipe.dispose());
  const run = (options: object = {}) => latentsOf(pipe, { steps: undefined, ...options });

  test('has four steps, and takes the guidance scale as an input', async () => {
    expect(pipe).toBeInstanceOf(LatentConsistencyModelPipeline);
    expect(pipe.defaults).toEqual({ distilled: 'lcm', steps: 4, guidanceScale: 8.5 });
    const { stats, notes } = await pipe.generate({ prompt: 'a', negativePrompt: 'b' });
    expect(stats.calls).toBe(4);
    expect(notes.join()).toMatch(/negative prompt is not used/);
    const usual = await run();
    expect(await run({ guidanceScale: 8.5, steps: 4 })).toEqual(usual);
    expect(await run({ distilled: 'lcm' })).toEqual(usual);
    expect(await run({ negativePrompt: 'b' })).toEqual(usual);
    const [one, four] = [await run({ guidanceScale: 1 }), await run({ guidanceScale: 4 })];
    expect(distance(one, usual)).toBeGreaterThan(1e-4);
    expect(distance(four, one)).toBeGreaterThan(1e-4);
  });

  test('is no other in the pipeline of Stable Diffusion', async () => {
    await using other = StableDiffusionPipeline.from(pipe);
    expect(await latentsOf(other, { steps: undefined })).toEqual(await run());
  });

  test('takes a cache, but no preset in so few calls', async () => {
    const cached = await pipe.generate({ prompt: 'a', steps: 6, cache: { interval: 2, branch: 0 } });
    expect(cached.stats.fullCalls).toBe(3);
    const preset = await pipe.generate({ prompt: 'a', steps: 6, cache: 'fast' });
    expect(preset.stats.fullCalls).toBe(6);
  });

  test('from a picture runs all steps, over what the strength leaves', async () => {
    await using from = LatentConsistencyModelImg2ImgPipeline.from(pipe);
    const { stats, settings } = await from.generate({ prompt: 'a', image: picture, steps: 6, strength: 0.6 });
    expect(stats.calls).toBe(6);
    expect(settings[0]).toMatch(/Denoising strength: 0.6/);
    const latents = (options: object) => latentsOf(from, { image: picture, steps: 6, ...options });
    const [weak, strong] = [await latents({ strength: 0.3 }), await latents({ strength: 0.9 })];
    expect(distance(weak, strong)).toBeGreaterThan(1e-2);
    expect(await latents({})).toEqual(await latents({ strength: 0.8 }));
    const timesteps = [899, 699, 499, 299, 99];
    const listed = { prompt: 'a', image: picture, timesteps, strength: 0.6, output: 'latent' } as const;
    expect((await from.generate(listed)).stats.calls).toBe(3);
    expect((await rejection(latents({ scheduler: 'DDIM' }))).message).toMatch(
      /^scheduler must be LCM or TCD/,
    );
    expect((await rejection(latents({ schedulerOptions: { strength: 0.5 } }))).message).toMatch(
      /^schedulerOptions has a strength/,
    );
    expect((await rejection(latents({ strength: 0.05 }))).message).toMatch(
      /^steps must not be more than the 2/,
    );
  });

  test('has a pipeline for pictures of its own', async () => {
    await using from = pipelineForInputs(pipe, { image: true, mask: false });
    expect(from).toBeInstanceOf(LatentConsistencyModelImg2ImgPipeline);
    await using masked = pipelineForInputs(pipe, { image: true, mask: true });
    expect(masked).toBeInstanceOf(StableDiffusionInpaintPipeline);
    await using usual = await loadTiny();
    await using other = pipelineForInputs(usual, { image: true, mask: false });
    expect(other).toBeInstanceOf(StableDiffusionImg2ImgPipeline);
  });

  test('is also a usual model with its U-Net, from a folder or from a file', async () => {
    const scheduler = LCM;
    const expected = await run({ scheduler });
    for (const unet of [
      place,
      join(place, 'unet'),
      join(place, 'unet/diffusion_pytorch_model.safetensors'),
    ]) {
      await using other = await loadTiny({ unet });
      expect(other.defaults).toEqual(pipe.defaults);
      expect(other.unet.timeCondWidth).toBe(16);
      expect(await latentsOf(other, { steps: undefined, scheduler })).toEqual(expected);
    }
    await using usual = await loadTiny();
    await using own = await loadTiny({ unet: 'test/fixtures/sd15-tiny' });
    expect(await latentsOf(own)).toEqual(await latentsOf(usual));
    const { message } = await rejection(
      loadTiny({ unet: join(place, 'vae/diffusion_pytorch_model.safetensors') }),
    );
    expect(message).toMatch(/^unet is .*, which holds no U-Net/);
  });

  test('the commands know it', async () => {
    const file = join(folder, 'picture.png');
    await picture.save(file);
    const base = ['generate', '-m', place, '--device', 'cpu', '-p', 'a', '-s', '1', '--json', '--force'];
    const calls = async (...args: string[]) => {
      const { out, err } = await runCli([...base, '-o', join(folder, 'out.png'), ...args]);
      if (out === '') throw new Error(err);
      return JSON.parse(out).stats.calls;
    };
    expect(await calls()).toBe(4);
    // Of a usual model four steps of 0.1 would run none.
    expect(await calls('--image', file, '--strength', '0.1')).toBe(4);
    const { out } = await runCli(['inspect', place]);
    expect(out).toMatch(/defaults +distilled lcm, steps 4, guidanceScale 8.5/);
  });
});

describe('a model is known by its sampler', () => {
  const made = async (scheduler: object, recommended?: object) => {
    const place = await writeSd(mkdtempSync(join(folder, 'made-')), {
      index: { scheduler: ['diffusers', (scheduler as { _class_name: string })._class_name] },
      scheduler,
    });
    if (recommended) writeFileSync(join(place, 'generation_config.json'), JSON.stringify(recommended));
    return load(place);
  };

  test.each([
    [LCM, undefined, { distilled: 'lcm', steps: 4, guidanceScale: 1 }],
    [{ _class_name: 'TCDScheduler' }, undefined, { distilled: 'tcd', steps: 4, guidanceScale: 0 }],
    [LCM, { num_inference_steps: 6 }, { distilled: 'lcm', steps: 6, guidanceScale: 1 }],
    [{ _class_name: 'EulerDiscreteScheduler', timestep_spacing: 'trailing' }, undefined, {}],
  ])('%j with %j', async (scheduler, recommended, defaults) => {
    await using pipe = await made(scheduler, recommended);
    expect(pipe.defaults).toEqual(defaults);
    const { steps } = defaults as { steps?: number };
    if (steps) expect((await pipe.generate({ prompt: 'a', output: 'latent' })).stats.calls).toBe(steps);
  });

  test('what may be a Turbo model is told so, unless the run says what it is', async () => {
    const notesOf = async (scheduler: object, options: object) => {
      await using pipe = await made(scheduler);
      return (await pipe.generate({ prompt: 'a', output: 'latent', steps: 9, ...options })).notes.join();
    };
    const turbo = { _class_name: 'EulerAncestralDiscreteScheduler', timestep_spacing: 'trailing' };
    const hint = /if it is one, give distilled/;
    expect(await notesOf(turbo, {})).toMatch(hint);
    expect(await notesOf(turbo, { steps: 4 })).not.toMatch(hint);
    expect(await notesOf(turbo, { guidanceScale: 1 })).not.toMatch(hint);
    expect(await notesOf(turbo, { distilled: 'turbo' })).not.toMatch(hint);
    expect(await notesOf({ ...turbo, timestep_spacing: 'leading' }, {})).not.toMatch(hint);
    const zero = { ...turbo, rescale_betas_zero_snr: true, prediction_type: 'v_prediction' };
    expect(await notesOf(zero, {})).not.toMatch(hint);
  });
});

describe('recipes', () => {
  let pipe: StableDiffusionPipeline;
  beforeAll(async () => {
    pipe = await loadTiny();
  });
  afterAll(() => pipe.dispose());
  const run = (options: object) => latentsOf(pipe, { steps: undefined, ...options });

  test.each<[Distillation, number, number[]]>([
    // As the authors' own examples compute them with diffusers' samplers.
    ['lcm', 4, [999, 759, 499, 259]],
    ['tcd', 4, [999, 759, 499, 259]],
    ['turbo', 1, [999]],
    ['lightning', 4, [999, 749, 499, 249]],
    ['lightning', 1, [999]],
    ['hyper', 2, [999, 499]],
    ['hyper', 1, [800]],
    ['dmd2', 4, [999, 749, 499, 249]],
    ['dmd2', 1, [399]],
  ])('%s in %i steps', (distillation, steps, timesteps) => {
    const { scheduler, timesteps: own } = recipeOf(distillation, steps);
    const model = { _class_name: 'PNDMScheduler', beta_schedule: 'scaled_linear', steps_offset: 1 };
    const compiled = Scheduler.fromConfig(model, scheduler).compile(own ? { timesteps: own } : { steps });
    expect(compiled.timesteps).toEqual(timesteps);
  });

  test.each(DISTILLATIONS)('%s stands for its options', async (distilled) => {
    const { steps, timesteps, ...others } = recipeOf(distilled);
    expect(await run({ distilled })).toEqual(
      await run({ ...others, ...(timesteps ? { timesteps } : { steps }) }),
    );
    const { stats } = await pipe.generate({ prompt: 'a', distilled, output: 'latent' });
    expect(stats.calls).toBe(4);
  });

  test('options count more', async () => {
    const scheduler = { _class_name: 'EulerDiscreteScheduler', timestep_spacing: 'trailing' };
    expect(await run({ distilled: 'lightning', steps: 2 })).toEqual(
      await run({ scheduler, steps: 2, guidanceScale: 0 }),
    );
    expect(await run({ distilled: 'lightning', numInferenceSteps: 1 })).toEqual(
      await run({ scheduler: { ...scheduler, prediction_type: 'sample' }, steps: 1, guidanceScale: 0 }),
    );
    expect(await run({ distilled: 'dmd2', guidanceScale: 2, scheduler: 'DDIM' })).toEqual(
      await run({ scheduler: 'DDIM', guidanceScale: 2, steps: 4 }),
    );
    expect(await run({ distilled: 'dmd2', timesteps: [899, 299] })).toEqual(
      await run({ scheduler: 'LCM', guidanceScale: 0, timesteps: [899, 299] }),
    );
    expect(await run({ distilled: 'tcd', eta: 1 })).toEqual(
      await run({ scheduler: 'TCD', guidanceScale: 0, steps: 4, eta: 1 }),
    );
  });

  test('an adapter for few steps is there while it is loaded', async () => {
    const adapters = new AdapterFolder();
    try {
      const name = 'down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q';
      const shapes = new Map(pipe.unet.weightShapes().map((one) => [one.name, one.shape] as const));
      const [rows = 0, columns = 0] = shapes.get(`${name}.weight`) ?? [];
      const lora = adapters.write('lcm-lora.safetensors', {
        [`unet.${name}.lora_A.weight`]: values([3, columns], 1, 2),
        [`unet.${name}.lora_B.weight`]: values([rows, 3], 2, 2),
      });
      const before = await run({ distilled: 'lcm' });
      await pipe.loadLora(lora);
      expect(distance(await run({ distilled: 'lcm' }), before)).toBeGreaterThan(1e-4);
      await pipe.unloadLora();
      expect(await run({ distilled: 'lcm' })).toEqual(before);
    } finally {
      adapters.remove();
    }
  });

  test('are repeated from a picture, which says what they stood for', async () => {
    const [first, again] = [join(folder, 'first.png'), join(folder, 'again.png')];
    const base = ['generate', '-m', 'test/fixtures/sd15-tiny', '--device', 'cpu', '-q'];
    const made = await runCli([...base, '-p', 'a', '-s', '3', '--distilled', 'tcd', '-o', first]);
    expect(made).toMatchObject({ code: 0, err: '' });
    expect(await runCli([...base, '--from', first, '-o', again])).toMatchObject({ code: 0, err: '' });
    const [a, b] = [await Image.open(first), await Image.open(again)];
    expect(a.metadata.parameters).toMatch(/Steps: 4, Sampler: TCD, .*Eta: 0.3, .*CFG scale: 0/);
    expect(Buffer.compare(a.data, b.data)).toBe(0);
    expect((await runCli([...base, '-p', 'a', '--distilled', 'fast', '-o', again])).err).toMatch(
      /--distilled must be 'lcm', 'tcd'/,
    );
  });
});

test('SDXL takes recipes, and a U-Net that takes the guidance scale', async () => {
  const place = await writeXl(join(folder, 'xl'), { unet: { time_cond_proj_dim: 16 }, scheduler: LCM });
  await using pipe = await load(place);
  expect(pipe.defaults).toEqual({ distilled: 'lcm', steps: 4, guidanceScale: 8.5 });
  const run = (options: object) => latentsOf(pipe, { steps: undefined, ...options });
  const usual = await run({ scheduler: LCM });
  expect(distance(await run({ scheduler: LCM, guidanceScale: 2 }), usual)).toBeGreaterThan(1e-5);
  expect(distance(await run({ distilled: 'turbo', steps: 1 }), usual)).toBeGreaterThan(1e-2);
});
