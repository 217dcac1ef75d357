import { cpSync, mkdtempSync, openSync, rmSync, symlinkSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  Image,
  StableDiffusionImg2ImgPipeline,
  StableDiffusionPipeline,
  saveVideo,
  TextToVideoZeroPipeline,
} from '../../lib/index.js';
import { nameModel } from '../../lib/pipelines/loading/model-name.js';
import { settingsText } from '../../lib/pipelines/outputs/settings.js';

const MODEL = 'test/fixtures/sd15-tiny';
let pipe: StableDiffusionPipeline;
let folder: string;
beforeAll(async () => {
  pipe = await StableDiffusionPipeline.fromPretrained(MODEL);
  folder = mkdtempSync(join(tmpdir(), 'deepcache-settings-'));
});
afterAll(async () => {
  await pipe.dispose();
  rmSync(folder, { recursive: true });
});

const RUN = { prompt: 'a', steps: 4, seed: 5 };
const settings = async (options: object) =>
  (await pipe.generate({ ...RUN, ...options })).settings[0] as string;

describe('different pictures have different texts', () => {
  test.each([
    [
      'fields of the sampler',
      { scheduler: 'DPMSolverMultistep' },
      { scheduler: { _class_name: 'DPMSolverMultistep', use_karras_sigmas: true } },
    ],
    [
      'timesteps',
      { scheduler: 'EulerDiscrete' },
      { scheduler: 'EulerDiscrete', timesteps: [900, 600, 300, 10] },
    ],
    ['clip skip', {}, { clipSkip: 1 }],
    ['the cache', {}, { cache: { interval: 2 } }],
    ['latents', {}, { latents: { data: new Float32Array(256), shape: [1, 4, 8, 8] } }],
  ])('%s', async (_, one, other) => {
    expect(await settings(one)).not.toBe(await settings(other));
  });

  test('strength and mask', async () => {
    await using img2img = StableDiffusionImg2ImgPipeline.from(pipe);
    const image = { data: new Uint8Array(64 * 64 * 3), width: 64, height: 64, channels: 3 as const };
    const text = async (options: object) =>
      (await img2img.generate({ ...RUN, image, ...options })).settings[0] as string;
    expect(await text({})).toContain('Denoising strength: 0.8');
    expect(await text({ strength: 0.5 })).toContain('Denoising strength: 0.5');
  });
});

test('steps of its own are the steps', async () => {
  expect(await settings({ scheduler: 'EulerDiscrete', sigmas: [9, 1] })).toContain('Steps: 2, ');
});

test('the whole line', async () => {
  const text = await settings({
    negativePrompt: 'fog',
    clipSkip: 1,
    scheduler: { _class_name: 'DDIM', timestep_spacing: 'trailing' },
    cache: { interval: 2, branch: 1 },
  });
  expect(text.split('\n').slice(0, 2)).toEqual(['a', 'Negative prompt: fog']);
  // As tools for such lines read them.
  const fields = Object.fromEntries(
    [
      ...(text.split('\n')[2] as string).matchAll(/\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)/g),
    ].map(([, name, value]) => [name, value?.startsWith('"') ? JSON.parse(value) : value]),
  );
  expect(fields).toMatchObject({
    Steps: '4',
    Sampler: 'DDIM',
    'CFG scale': '7.5',
    Seed: '5',
    Size: '64x64',
    'Clip skip': '2',
    DeepCache: '{"interval":2,"branch":1}',
    'Full calls': '2 of 4',
    Device: 'cpu',
    Precision: 'fp32',
  });
  expect(fields['Model fingerprint']).toMatch(/^[0-9a-f]{10}$/);
  expect(JSON.parse(fields['Sampler config'])).toMatchObject({ timestep_spacing: 'trailing' });
  expect(fields.Version).toMatch(/^deepcache \d/);
});

test('values that would end a field are quoted', () => {
  expect(settingsText({ prompt: 'p', fields: { A: 'x, B: 1', C: undefined, D: false, E: 0 } })).toBe(
    'p\nA: "x, B: 1", E: 0',
  );
});

test('latents have settings, videos have them in their file', async () => {
  const { settings, images } = await pipe.generate({ ...RUN, output: 'latent' });
  expect(settings[0]).toContain('Seed: 5');
  expect(images).toEqual([]);
  await using video = TextToVideoZeroPipeline.from(pipe);
  const made = await video.generate({ ...RUN, videoLength: 2 });
  expect(made.settings).toHaveLength(1);
  expect(made.settings[0]).toContain('Turning points: ');
  const path = await saveVideo(made.images, join(folder, 'v.webp'));
  expect((await Image.open(path)).metadata.parameters).toBe(made.settings[0]);
});

describe('the name of a model', () => {
  test('weights that differ somewhere in many places have another fingerprint', async () => {
    const copy = join(folder, 'copy');
    cpSync(MODEL, copy, { recursive: true });
    const first = await nameModel(copy);
    expect(first).toEqual(await nameModel(MODEL));
    expect(first.name).toBeUndefined();
    // The sampler's configuration is no part of it: its fields are settings.
    writeFileSync(join(copy, 'scheduler/scheduler_config.json'), '{}');
    expect(await nameModel(copy)).toEqual(first);
    const weights = openSync(join(copy, 'unet/diffusion_pytorch_model.safetensors'), 'r+');
    for (let at = 500_000; at < 4_000_000; at += 4) writeSync(weights, 'abcd', at);
    expect((await nameModel(copy)).fingerprint).not.toBe(first.fingerprint);
  });

  test("in the cache of Hugging Face's tools it is the repository's", async () => {
    const snapshot = join(folder, 'models--acme--tiny/snapshots/0123abc');
    cpSync(MODEL, snapshot, { recursive: true });
    expect((await nameModel(snapshot)).name).toBe('acme/tiny');
  });

  test('what is no file is left out', async () => {
    symlinkSync('/dev/zero', join(folder, 'copy/endless.safetensors'));
    expect((await nameModel(join(folder, 'copy'))).fingerprint).toHaveLength(10);
    expect((await nameModel(join(folder, 'nothing'))).fingerprint).toHaveLength(10);
  });
});
