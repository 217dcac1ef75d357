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
import { native } from '../../lib/native/binding.js';
import type { TensorShape } from '../../lib/native/types.js';
import { permutation } from '../../lib/pipelines/inputs/free-noise.js';
import { DDIMScheduler } from '../../lib/schedulers/index.js';
import { AdapterFolder, values } from '../adapters/adapter-files.js';
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
    expect(message).toBe(
      'numFrames is 5; these motion modules take at most 4, and longer videos with freeNoise',
    );
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

describe('motion LoRA', () => {
  const LAYER = 'down_blocks.0.motion_modules.0.transformer_blocks.0.attn1.to_q';
  const ORIGINAL =
    'module.down_blocks.0.motion_modules.0.temporal_transformer.transformer_blocks.0.attention_blocks.0.processor.to_q_lora';
  const adapters = new AdapterFolder();
  const factors = () => {
    const { shape } = pipe.unet.weightShapes().find(({ name }) => name === `${LAYER}.weight`) as TensorShape;
    return [values([shape[0] as number, 2], 1, 3), values([2, shape[1] as number], 2, 3)] as const;
  };
  afterAll(() => adapters.remove());

  test('comes and goes under the names of its authors and of diffusers', async () => {
    const [up, down] = factors();
    const files = [
      adapters.write('original.safetensors', {
        [`${ORIGINAL}.up.weight`]: up,
        [`${ORIGINAL}.down.weight`]: down,
      }),
      adapters.write('diffusers.safetensors', {
        [`unet.${LAYER}.lora_B.weight`]: up,
        [`unet.${LAYER}.lora_A.weight`]: down,
      }),
    ];
    const before = await latents();
    const changed: Float32Array[] = [];
    for (const file of files) {
      const { weights, unknownKeys } = await pipe.loadLora(file);
      expect([weights, unknownKeys]).toEqual([1, []]);
      changed.push(await latents());
      await pipe.unloadLora();
    }
    expect(sameBits(changed[0] as Float32Array, changed[1] as Float32Array)).toBe(true);
    expect(distance(changed[0] as Float32Array, before)).toBeGreaterThan(1e-3);
    expect(sameBits(await latents(), before)).toBe(true);
  });

  test('is refused by name where there are no motion modules', async () => {
    const [up, down] = factors();
    const file = adapters.write('motion.safetensors', {
      [`${ORIGINAL}.up.weight`]: up,
      [`${ORIGINAL}.down.weight`]: down,
    });
    await using image = await loadTiny();
    const { code, message } = await rejection(image.loadLora(file));
    expect(code).toBe('ERR_DEEPCACHE_INVALID_WEIGHTS');
    expect(message).toContain('it looks like one for the motion modules of AnimateDiff');
  });
});

describe('FreeNoise', () => {
  test('makes videos longer than the motion modules take', async () => {
    const freeNoise = { contextLength: 4, contextStride: 2 };
    const long = await latents({ numFrames: 9, freeNoise });
    expect(long).toHaveLength(9 * 256);
    expect(sameBits(await latents({ numFrames: 9, freeNoise }), long)).toBe(true);
    const flat = { ...freeNoise, weightingScheme: 'flat' };
    expect(sameBits(await latents({ numFrames: 9, freeNoise: flat }), long)).toBe(false);
    const { settings } = await pipe.generate({ ...OPTIONS, numFrames: 9, freeNoise, steps: 2 });
    expect(settings[0]).toContain('FreeNoise: 4 stride 2 pyramid shuffle_context');
  });

  test('in one window is the video without it', async () => {
    const whole = await latents({ numFrames: 4 });
    expect(sameBits(await latents({ numFrames: 4, freeNoise: { noiseType: 'random' } }), whole)).toBe(true);
  });

  test.each([
    [
      { freeNoise: { contextLength: 5 } },
      'freeNoise.contextLength must be a whole number from 1 to 4, got 5',
    ],
    [
      { numFrames: 3, freeNoise: { contextLength: 4 } },
      'freeNoise.contextLength must be a whole number from 1 to 3',
    ],
    [{ numFrames: 600 }, 'numFrames must be a whole number from 1 to 512'],
    [{ numFrames: 512, numImages: 2, freeNoise: true }, 'numImages makes 1024 images in one run'],
  ])('refuses %j', async (options, message) => {
    expect((await rejection(latents({ numFrames: 9, ...options }))).message).toContain(message);
  });

  test('gives later frames the noise of earlier ones, in the order of torch.randperm', () => {
    // What torch.manual_seed(0) and torch.randperm(10) give.
    expect(permutation(new (native().Generator)(0n), 10)).toEqual([4, 1, 7, 5, 3, 9, 0, 8, 6, 2]);
  });
});
