import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import {
  DiffusionPipeline,
  Image,
  StableDiffusionImg2ImgPipeline,
  type StableDiffusionPipeline,
} from '../../lib/index.js';
import { runCli } from '../cli-run.js';
import { copyModel } from './broken-models.js';
import { latentsOf, loadTiny, rejection, sameBits } from './tiny.js';

// What a folder recommends for its runs.

let folder: string;
beforeEach(() => {
  folder = copyModel();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const recommend = (fields: object) =>
  writeFileSync(join(folder, 'generation_config.json'), JSON.stringify(fields));
const load = (log = (_: string) => {}) =>
  DiffusionPipeline.fromPretrained(folder, { device: 'cpu', log }) as Promise<StableDiffusionPipeline>;

test('its fields are defaults of generate, and options that are given count more', async () => {
  recommend({ num_inference_steps: 4, guidance_scale: 2, guidance_rescale: 0.5, _comment: 'measured' });
  await using usual = await loadTiny();
  await using pipe = await load();
  expect(pipe.defaults).toEqual({ steps: 4, guidanceScale: 2, guidanceRescale: 0.5 });
  expect(usual.defaults).toEqual({});
  const run = { prompt: 'a lighthouse', seed: 7, output: 'latent' } as const;
  const own = async (options: object) =>
    (await pipe.generate({ ...run, ...options })).tensor?.data as Float32Array;
  const same = (options: object) => latentsOf(usual, options);
  expect(sameBits(await own({}), await same({ steps: 4, guidanceScale: 2, guidanceRescale: 0.5 }))).toBe(
    true,
  );
  expect(
    sameBits(
      await own({ numInferenceSteps: 3, guidanceScale: 5, guidanceRescale: 0 }),
      await same({ guidanceScale: 5 }),
    ),
  ).toBe(true);
  // A picture without it is not made again with it.
  for (const guidanceRescale of [0, 0.3]) {
    const { settings } = await pipe.generate({ prompt: 'a', guidanceRescale });
    expect(settings[0]).toContain(`CFG rescale: ${guidanceRescale},`);
  }
  // PNDM makes a call more than it has steps.
  const { stats } = await StableDiffusionImg2ImgPipeline.from(pipe).generate({
    image: new Image({ width: 64, height: 64, data: new Uint8Array(64 * 64 * 3) }),
    prompt: 'a lighthouse',
    strength: 0.5,
  });
  expect(stats.calls).toBe(3);
});

test('commands follow it', async () => {
  recommend({ num_inference_steps: 4 });
  const args = ['generate', '-m', folder, '-p', 'x', '-s', '1', '--json', '-o', join(folder, 'out.png')];
  const calls = async (...more: string[]) => JSON.parse((await runCli([...args, ...more])).out).stats.calls;
  expect(await calls()).toBe(5);
  expect(await calls('--steps', '2')).toBe(3);
  const { out } = await runCli(['quality', '-m', folder, '-p', 'x', '-c', 'interval=2', '--json']);
  expect(JSON.parse(out).calls).toBe(5);
  expect((await runCli(['inspect', folder])).out).toContain('\ndefaults   steps 4\n');
});

test('unknown fields are told, wrong values are errors that name the file', async () => {
  const said: string[] = [];
  recommend({ guidance_scale: 3, top_k: 5 });
  const pipe = await load((message) => said.push(message));
  await pipe.dispose();
  expect(said.join()).toMatch(/generation_config\.json: top_k is ignored; known are num_inference_steps/);
  recommend({ num_inference_steps: 'many' });
  const error = await rejection(load());
  expect(error).toMatchObject({ code: 'ERR_DEEPCACHE_INVALID_CONFIG' });
  expect((await runCli(['inspect', folder])).out).toMatch(
    /generation_config\.json: num_inference_steps must/,
  );
  expect(error.message).toMatch(/generation_config\.json: num_inference_steps must be a whole number/);
});
