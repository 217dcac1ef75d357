import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  type GenerateOptions,
  StableDiffusionImg2ImgPipeline,
  StableDiffusionInpaintPipeline,
  type StableDiffusionPipeline,
  type Tensor,
  TextToVideoZeroPipeline,
} from '../../lib/index.js';
import { AutoencoderKL } from '../../lib/models/autoencoder-kl.js';
import { FolderSource } from '../../lib/models/folder-source.js';
import { openBackend } from '../../lib/native/device.js';
import { distance, FOLDER, loadTiny, numbersOf, SIZE } from '../pipelines/tiny.js';

// Whole pipelines on a GPU, here the emulated one, against the CPU: every kind of run finds a kernel for every op.
// scripts/test-emulated.mjs sets the library; without a GPU of any kind there is nothing to test.
const onGpu = process.env.DEEPCACHE_CUDA_LIBRARY ? describe : describe.skip;

/** As test/conformance/precision.ts derives it: fp16, whole runs; from a picture on also the encoder's. */
const RUN = 2e-2;
const FROM_PICTURE = Math.hypot(RUN, 5e-3);

onGpu('like the CPU', () => {
  let cpu: StableDiffusionPipeline;
  let gpu: StableDiffusionPipeline;
  beforeAll(async () => {
    cpu = await loadTiny();
    gpu = await loadTiny({ device: 'cuda' });
  });
  afterAll(async () => {
    await cpu.dispose();
    await gpu.dispose();
  });

  const options: GenerateOptions = { prompt: 'a lighthouse', steps: 4, seed: 7, scheduler: 'DDIM' };
  const picture: Tensor = {
    shape: [1, 3, SIZE, SIZE],
    data: Float32Array.from({ length: 3 * SIZE * SIZE }, (_, i) => 0.5 + 0.3 * Math.sin(i / 40)),
  };
  const mask: Tensor = {
    shape: [1, 1, SIZE, SIZE],
    data: Float32Array.from({ length: SIZE * SIZE }, (_, i) => (i % SIZE < SIZE / 2 ? 1 : 0)),
  };

  /** The distance of a run on the GPU from the same one on the CPU. */
  async function apart(run: (pipe: StableDiffusionPipeline) => Promise<{ tensor?: Tensor | undefined }>) {
    const expected = numbersOf(await run(cpu));
    return distance(numbersOf(await run(gpu)), expected);
  }

  test('text to image, with DeepCache and without', async () => {
    for (const cache of [false, { interval: 2, branch: 1 }] as const) {
      const run = (pipe: StableDiffusionPipeline) => pipe.generate({ ...options, cache, output: 'latent' });
      expect(await apart(run)).toBeLessThan(RUN);
    }
  });

  test('FreeU, perturbed attention, self-attention guidance and a guider with momentum', async () => {
    const freeU = { b1: 1.3, b2: 1.4, s1: 0.9, s2: 0.2 };
    const momentum = { adaptiveProjectedGuidanceMomentum: -0.5, eta: 0.25 };
    for (const own of [
      { freeU, cache: { interval: 2, branch: 7 } },
      { pagScale: 2, height: 2 * SIZE, pagAppliedLayers: ['mid', 'up_blocks.1'] },
      { sagScale: 0.75, height: 2 * SIZE, cache: { interval: 2, branch: 1 } },
      { guider: 'apg', guiderOptions: momentum },
      { sagScale: 0.75, height: 2 * SIZE, guider: 'apg', guiderOptions: momentum },
    ] as const) {
      const run = (pipe: StableDiffusionPipeline) => pipe.generate({ ...options, ...own, output: 'latent' });
      expect(await apart(run)).toBeLessThan(RUN);
    }
  });

  test('pixels', async () => {
    expect(await apart((pipe) => pipe.generate({ ...options, output: 'float32' }))).toBeLessThan(
      FROM_PICTURE,
    );
  });

  test('image to image', async () => {
    const run = (pipe: StableDiffusionPipeline) =>
      StableDiffusionImg2ImgPipeline.from(pipe).generate({ ...options, image: picture, output: 'latent' });
    expect(await apart(run)).toBeLessThan(FROM_PICTURE);
  });

  test('inpainting', async () => {
    const run = (pipe: StableDiffusionPipeline) =>
      StableDiffusionInpaintPipeline.from(pipe).generate({
        ...options,
        image: picture,
        maskImage: mask,
        output: 'latent',
      });
    expect(await apart(run)).toBeLessThan(FROM_PICTURE);
  });

  test('text to video', async () => {
    const video = { ...options, steps: 5, videoLength: 2, t0: 2, t1: 3, output: 'latent' } as const;
    const run = (pipe: StableDiffusionPipeline) => TextToVideoZeroPipeline.from(pipe).generate(video);
    expect(await apart(run)).toBeLessThan(RUN);
  });

  test('a run repeats to the last bit', async () => {
    expect(
      distance(
        numbersOf(await gpu.generate({ ...options, output: 'latent' })),
        numbersOf(await gpu.generate({ ...options, output: 'latent' })),
      ),
    ).toBe(0);
  });
});

onGpu('autoencoders', () => {
  test.each([
    [{ upcast: true }, 'fp16', 'bf16'],
    [{ upcast: true }, 'bf16', 'bf16'],
    [{}, 'fp16', 'fp16'],
  ] as const)('with %p of a %s pipeline are %s', async (options, dtype, expected) => {
    const found = await new FolderSource(FOLDER).network('vae');
    const vae = await AutoencoderKL.load(openBackend({ device: 'cuda', dtype }), found, options);
    expect(vae.dtype).toBe(expected);
    vae.dispose();
  });
});
