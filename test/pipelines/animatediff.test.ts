import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  AnimateDiffPipeline,
  DiffusionPipeline,
  StableDiffusionPipeline,
  TextToVideoZeroPipeline,
} from '../../lib/index.js';
import { DDIMScheduler } from '../../lib/schedulers/index.js';
import { AdapterFolder } from '../adapters/adapter-files.js';
import { runCli } from '../cli-run.js';
import { writeBase } from '../ip-adapter/tiny-ip-adapter.js';
import { adapterFile } from '../models/tiny-motion.js';
import { distance, FOLDER, imageOf, loadTiny, rejection, sameBits } from './tiny.js';

const FRAMES = 3;
const OPTIONS = { prompt: 'a lighthouse', seed: 7, numFrames: FRAMES, steps: 3, scheduler: 'DDIM' } as const;
const LOAD = { device: 'cpu', log: () => {} } as const;

let folder: string;
let motionAdapter: string;
let pipe: AnimateDiffPipeline;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'deepcache-animatediff-'));
  motionAdapter = adapterFile(folder, 'mm.safetensors');
  pipe = (await DiffusionPipeline.fromPretrained(FOLDER, { ...LOAD, motionAdapter })) as never;
});
afterAll(async () => {
  await pipe.dispose();
  rmSync(folder, { recursive: true });
});

async function latents(options: object = {}): Promise<Float32Array> {
  const run = { ...OPTIONS, ...options } as typeof OPTIONS;
  return (await pipe.generate({ ...run, output: 'latent' })).tensor.data;
}

describe('AnimateDiff', () => {
  test('is what a model with motion modules is loaded as', async () => {
    expect(pipe).toBeInstanceOf(AnimateDiffPipeline);
    const { images, settings } = await pipe.generate({ ...OPTIONS, numImages: 2, steps: 2 });
    expect(images).toHaveLength(2 * FRAMES);
    expect(settings).toHaveLength(2);
    expect(settings[1]).toContain('Frames: 3');
    expect(settings[1]).toContain('Motion adapter: mm.safetensors');
    expect(images[FRAMES]?.metadata.parameters).toBe(settings[1]);
    expect(images[FRAMES - 1]?.metadata.parameters).toBe(settings[0]);
  });

  test('makes as many frames as its tables have, up to 16, where nobody says it', async () => {
    const all = await latents({ numFrames: undefined, steps: 2 });
    expect(all).toHaveLength(4 * 256);
    const { code, message } = await rejection(latents({ numFrames: 5 }));
    expect(code).toBe('ERR_DEEPCACHE_INVALID_ARGUMENT');
    expect(message).toBe('numFrames is 5; these motion modules take at most 4');
  });

  test('frames see each other, and without motion modules that add something they do not', async () => {
    const idle = await AnimateDiffPipeline.fromPretrained(FOLDER, {
      ...LOAD,
      motionAdapter: adapterFile(folder, 'idle.safetensors', (name) => name, 0),
    });
    const data = new Float32Array(4 * FRAMES * 64).map((_, i) => Math.sin(3.7 * i));
    const start = { data, shape: [1, 4, FRAMES, 8, 8] };
    const still = (await idle.generate({ ...OPTIONS, latents: start, output: 'latent' })).tensor.data;
    await using image = await loadTiny();
    for (let frame = 0; frame < FRAMES; frame++) {
      const own = data.filter((_, i) => Math.floor(i / 64) % FRAMES === frame);
      const one = { prompt: OPTIONS.prompt, steps: OPTIONS.steps, scheduler: OPTIONS.scheduler };
      const { tensor } = await image.generate({
        ...one,
        latents: { data: own, shape: [1, 4, 8, 8] },
        output: 'latent',
      });
      expect(distance(imageOf(still, frame, FRAMES), tensor.data)).toBeLessThan(1e-4);
    }
    expect(distance(await latents({ latents: start }), still)).toBeGreaterThan(0.01);
    await idle.dispose();
  });

  test('a picture beside the prompt is read by all frames', async () => {
    const files = new AdapterFolder();
    const motion = adapterFile(folder, 'still.safetensors', (name) => name, 0);
    await using idle = await AnimateDiffPipeline.fromPretrained(FOLDER, { ...LOAD, motionAdapter: motion });
    await using image = await loadTiny();
    try {
      const file = writeBase(files, 'ip.safetensors', image);
      await idle.loadIpAdapter(file);
      await image.loadIpAdapter(file);
      const ipAdapterImageEmbeds = {
        data: Float32Array.from({ length: 24 }, (_, i) => Math.sin(i)),
        shape: [1, 24],
      };
      const run = { ...OPTIONS, ipAdapterImageEmbeds, output: 'latent' } as const;
      const data = new Float32Array(4 * FRAMES * 64).map((_, i) => Math.sin(3.7 * i));
      const latents = { data, shape: [1, 4, FRAMES, 8, 8] };
      const still = (await idle.generate({ ...run, latents })).tensor.data;
      for (let frame = 0; frame < FRAMES; frame++) {
        const own = data.filter((_, i) => Math.floor(i / 64) % FRAMES === frame);
        const { numFrames: _, ...picture } = run;
        const { tensor } = await image.generate({ ...picture, latents: { data: own, shape: [1, 4, 8, 8] } });
        expect(distance(imageOf(still, frame, FRAMES), tensor.data)).toBeLessThan(1e-4);
      }
      const without = (await idle.generate({ ...run, latents, ipAdapterScale: 0 })).tensor.data;
      expect(distance(still, without)).toBeGreaterThan(1e-3);
      const { seed: _, ...unseeded } = run;
      const two = { ...unseeded, prompt: ['a lighthouse', 'a fox'], seeds: [7, 8] };
      const both = (await idle.generate(two)).tensor.data;
      const second = (await idle.generate({ ...run, prompt: 'a fox', seed: 8 })).tensor.data;
      expect(sameBits(imageOf(both, 1, 2), second)).toBe(true);
    } finally {
      files.remove();
    }
  });

  test('videos of several prompts and seeds are what each is alone', async () => {
    const both = await latents({ prompt: ['a lighthouse', 'a fox'], seed: undefined, seeds: [7, 8], eta: 1 });
    expect(sameBits(imageOf(both, 0, 2), await latents({ eta: 1 }))).toBe(true);
    expect(sameBits(imageOf(both, 1, 2), await latents({ prompt: 'a fox', seed: 8, eta: 1 }))).toBe(true);
  });

  test('takes any cache', async () => {
    const kinds: string[] = [];
    const onStep = ({ kind }: { kind: string }) => kinds.push(kind);
    const full = await latents({ steps: 6 });
    const cached = await latents({ steps: 6, cache: { interval: 2 }, onStep });
    expect(kinds).toEqual(['full', 'retrieve', 'full', 'retrieve', 'full', 'retrieve']);
    expect(sameBits(cached, full)).toBe(false);
    expect(distance(cached, full)).toBeLessThan(0.5);
    expect(sameBits(await latents({ steps: 6, cache: { interval: 1 } }), full)).toBe(true);
  });

  test('is no pipeline for pictures, and takes nothing that knows no frames', async () => {
    for (const other of [StableDiffusionPipeline, TextToVideoZeroPipeline]) {
      const from = () => (other as typeof StableDiffusionPipeline).from(pipe);
      expect(from).toThrow('an AnimateDiffPipeline takes it');
    }
    await using image = await loadTiny();
    expect(() => AnimateDiffPipeline.from(image)).toThrow('load the model with the option motionAdapter');
    expect((await rejection(pipe.loadControlNet())).code).toBe('ERR_DEEPCACHE_UNSUPPORTED');
    const scheduler = new DDIMScheduler({ thresholding: true });
    expect((await rejection(latents({ scheduler }))).message).toMatch(/^scheduler: thresholding/);
  });

  test('needs motion modules, and other pipelines take none', async () => {
    expect((await rejection(AnimateDiffPipeline.fromPretrained(FOLDER, LOAD))).message).toMatch(
      /^motionAdapter is missing/,
    );
    const load = { ...LOAD, motionAdapter };
    expect((await rejection(StableDiffusionPipeline.fromPretrained(FOLDER, load))).message).toBe(
      'motionAdapter is for an AnimateDiffPipeline; this is a StableDiffusionPipeline',
    );
  });

  test('writes videos on the command line, one for each prompt', async () => {
    const file = join(folder, 'v.webp');
    const given = [
      'generate',
      '-m',
      FOLDER,
      '--motion-adapter',
      motionAdapter,
      '--frames',
      '2',
      '--steps',
      '2',
    ];
    const result = await runCli([...given, '-p', 'a fox', '-p', 'a lighthouse', '-o', file, '--json']);
    expect(result.err).not.toContain('deepcache:');
    const report = JSON.parse(result.out);
    expect(report.files).toEqual([join(folder, 'v-1.webp'), join(folder, 'v-2.webp')]);
    const wrong = await runCli([...given.slice(0, -4), '--frames', '9', '-p', 'x', '-o', file]);
    expect(wrong.err).toContain('--frames is 9; these motion modules take at most 4');
    expect(wrong.code).toBe(2);
  });
});
