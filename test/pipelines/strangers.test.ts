import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import {
  DiffusionPipeline,
  StableDiffusionImg2ImgPipeline,
  StableDiffusionPipeline,
} from '../../lib/index.js';
import { native } from '../../lib/native/binding.js';
import { guidanceEmbedding } from '../../lib/pipelines/conditioning/guidance-embedding.js';
import { encodeImages } from '../../lib/pipelines/inputs/encode-image.js';
import { NoiseSource } from '../../lib/pipelines/inputs/noise.js';
import { checkTokenizer } from '../../lib/pipelines/loading/fit.js';
import { CLIPTokenizer } from '../../lib/tokenizers/clip-tokenizer.js';
import { copyModel, editHeader, replaceModel } from './broken-models.js';
import { distance, latentsOf, loadTiny, rejection, sameBits, untyped } from './tiny.js';

// Model folders as other programs leave them.

type Json = Record<string, unknown>;
const FILES = {
  unet: 'unet/diffusion_pytorch_model.safetensors',
  vae: 'vae/diffusion_pytorch_model.safetensors',
  text_encoder: 'text_encoder/model.safetensors',
};

let expected: Float32Array;
beforeAll(async () => {
  const pipe = await loadTiny();
  expected = await latentsOf(pipe);
  await pipe.dispose();
});

let folder: string;
beforeEach(() => {
  folder = copyModel();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const load = async (log = (_: string) => {}) =>
  (await DiffusionPipeline.fromPretrained(folder, { device: 'cpu', log })) as StableDiffusionPipeline;

const latentsHere = async () => {
  const pipe = await load();
  const latents = await latentsOf(pipe);
  await pipe.dispose();
  return latents;
};

const edit = (file: string, change: (json: Json) => Json) => {
  const path = join(folder, file);
  writeFileSync(path, JSON.stringify(change(JSON.parse(readFileSync(path, 'utf8')))));
};
const set = (file: string, fields: Json) => edit(file, (json) => ({ ...json, ...fields }));

const rename = (file: string, name: (name: string, index: number) => string) =>
  editHeader(file, (header) =>
    Object.fromEntries(
      Object.entries(header).map(([key, entry], i) => [key === '__metadata__' ? key : name(key, i), entry]),
    ),
  )(folder);

describe('names of tensors', () => {
  const wrapped: [keyof typeof FILES, string, (name: string, index: number) => string][] = [
    ['unet', 'torch.compile', (name) => `_orig_mod.${name}`],
    ['unet', 'data parallel', (name) => `module.${name}`],
    ['unet', 'both, within a trainer', (name) => `model.module._orig_mod.${name}`],
    ['unet', 'blocks compiled alone', (name) => name.replace(/(_blocks\.\d)\./, '$1._orig_mod.')],
    ['vae', 'torch.compile', (name) => `_orig_mod.${name}`],
    ['vae', 'a whole pipeline', (name) => `vae.${name}`],
    ['text_encoder', 'data parallel', (name) => `module.${name}`],
    ['text_encoder', 'transformers 5', (name) => name.replace(/^text_model\./, '')],
    ['text_encoder', 'both', (name) => name.replace(/^text_model\./, '_orig_mod.')],
  ];
  test.each(wrapped)('%s: %s', async (part, _, name) => {
    rename(FILES[part], name);
    expect(sameBits(await latentsHere(), expected)).toBe(true);
  });

  test('two models in a file are an error that names both', async () => {
    // A name that is free, as nothing reads the mid block then.
    set('unet/config.json', { mid_block_type: null });
    rename(FILES.unet, (name) => (name === 'mid_block.resnets.0.conv1.bias' ? 'module.conv_in.bias' : name));
    const error = await rejection(load());
    expect(error).toMatchObject({ code: 'ERR_DEEPCACHE_INVALID_WEIGHTS' });
    expect(error.message).toMatch(/both "conv_in\.bias" and "module\.conv_in\.bias"/);
  });
});

describe('configurations of a whole CLIP model', () => {
  const nest = (top: Json = {}, change: (text: Json) => Json = (text) => text) =>
    edit('text_encoder/config.json', ({ architectures, model_type, ...text }) => ({
      architectures: ['CLIPModel'],
      model_type: 'clip',
      projection_dim: 32,
      text_config: change(text),
      vision_config: { model_type: 'clip_vision_model', hidden_size: 48 },
      ...top,
    }));

  test('the sizes are under text_config', async () => {
    nest();
    expect(sameBits(await latentsHere(), expected)).toBe(true);
  });

  test('with the weights of the image encoder beside', async () => {
    nest();
    const rest = [
      'vision_model.post_layernorm.bias',
      'visual_projection.weight',
      'logit_scale',
      'position_ids',
    ];
    editHeader(FILES.text_encoder, (header) => {
      const end = Math.max(...Object.values(header).map(({ data_offsets }) => data_offsets?.[1] ?? 0));
      const empty = { dtype: 'I64', shape: [0], data_offsets: [end, end] };
      return { ...header, ...Object.fromEntries(rest.map((name) => [name, empty])) };
    })(folder);
    expect(sameBits(await latentsHere(), expected)).toBe(true);
  });

  test('the sizes of an image encoder are under vision_config', async () => {
    const vision = {
      hidden_size: 48,
      num_hidden_layers: 2,
      num_attention_heads: 4,
      patch_size: 16,
      image_size: 32,
    };
    const whole = { model_type: 'clip', projection_dim: 24, text_config: {}, vision_config: vision };
    const shapesOf = (config: object) => native().weightShapes('image_encoder', JSON.stringify(config));
    const shapes = await shapesOf(whole);
    expect(shapes).toEqual(await shapesOf({ ...vision, projection_dim: 24 }));
    expect(shapes.at(-1)).toEqual({ name: 'visual_projection.weight', shape: [24, 48] });
  });

  test('a text_config that is no object', async () => {
    nest({ text_config: 5 });
    expect(await rejection(load())).toMatchObject({ code: 'ERR_DEEPCACHE_INVALID_CONFIG' });
  });
});

describe('U-Nets of small and fast models', () => {
  test.each([null, 'UNetMidBlock2D'])(
    'mid_block_type %s: runs, with every branch',
    async (mid_block_type) => {
      set('unet/config.json', { mid_block_type });
      const pipe = await load();
      const latents = await latentsOf(pipe);
      expect(distance(latents, expected)).toBeGreaterThan(1e-3);
      const branches = await pipe.unet.branches();
      expect(branches).toHaveLength(12);
      expect(branches[11]?.feature).toBe(mid_block_type ? 'mid_block' : 'down_blocks.3.resnets.1');
      // With an interval longer than the run all calls but the first are of the deepest branch.
      const cached = await latentsOf(pipe, { cache: { interval: 3, branch: 11 } });
      expect(distance(cached, latents)).toBeLessThan(0.5);
      expect(sameBits(cached, latents)).toBe(false);
      await pipe.dispose();
    },
  );

  test.each([
    { only_cross_attention: [false, false, false, false] },
    { mid_block_only_cross_attention: false, only_cross_attention: false },
    { sample_size: [8, 8] },
  ])('%j changes nothing', async (fields) => {
    set('unet/config.json', fields);
    expect(sameBits(await latentsHere(), expected)).toBe(true);
  });

  test.each([
    { attention_type: 'gated' },
    { mid_block_type: 'UNetMidBlockFlatCrossAttn' },
    { dual_cross_attention: true },
  ])('%j is not supported, by name', async (fields) => {
    set('unet/config.json', fields);
    const error = await rejection(load());
    expect(error).toMatchObject({ code: 'ERR_DEEPCACHE_UNSUPPORTED' });
    expect(error.message).toContain(Object.keys(fields)[0]);
  });

  test('sample_size [height, width] is the size of pictures', async () => {
    set('unet/config.json', { sample_size: [4, 8] });
    const pipe = await load();
    const { tensor } = await pipe.generate({ prompt: 'a', steps: 1, output: 'latent' });
    expect(tensor?.shape).toEqual([1, 4, 4, 8]);
    await pipe.dispose();
  });

  test('a U-Net that takes the guidance scale: no negative prompt, and the class has its defaults', async () => {
    await replaceModel('unet', { time_cond_proj_dim: 16 })(folder);
    set('model_index.json', { _class_name: 'LatentConsistencyModelPipeline' });
    set('scheduler/scheduler_config.json', { _class_name: 'LCMScheduler' });
    const pipe = await load();
    expect(pipe.defaults).toEqual({ distilled: 'lcm', steps: 4, guidanceScale: 8.5 });
    const run = (options: object) =>
      pipe.generate(untyped({ prompt: 'a', seed: 1, output: 'latent', ...options }));
    const usual = await run({});
    const same = await run({ guidanceScale: 8.5, negativePrompt: 'b' });
    expect(same.tensor?.data).toEqual(usual.tensor?.data);
    expect(same.notes.join()).toMatch(/negative prompt is not used/);
    const other = await run({ guidanceScale: 4 });
    expect(distance(other.tensor?.data ?? [], usual.tensor?.data ?? [])).toBeGreaterThan(1e-4);
    const two = await run({ numImages: 2, seed: undefined, seeds: [1, 2] });
    expect(distance(two.tensor?.data.subarray(0, 256) ?? [], usual.tensor?.data ?? [])).toBeLessThan(1e-5);
    await pipe.dispose();
  });

  test('the embedded guidance scale is as torch has it', () => {
    // diffusers' get_guidance_scale_embedding of w = 7.5, width 16.
    const reference = [
      -0.851236, 0.985901, -0.556074, 0.285096, 0.911514, -0.839542, 0.33904, 0.681639, -0.524783, 0.167331,
      0.831133, 0.958499, 0.41127, -0.543295, -0.940772, 0.731689,
    ];
    for (const [i, value] of guidanceEmbedding(8.5, 16).entries())
      expect(value).toBeCloseTo(reference[i] as number, 3);
    expect([...guidanceEmbedding(1, 5)]).toEqual([0, 0, 1, 1, 0]);
  });
});

describe('autoencoders with means and deviations', () => {
  const fields = { latents_mean: [0.5, -0.25, 1, 0], latents_std: [2, 0.5, 1, 3] };

  test('pictures are decoded from latents * std / scaling_factor + mean', async () => {
    const plain = await load();
    set('vae/config.json', fields);
    const pipe = await load();
    const latents = await latentsOf(pipe);
    const mine = await pipe.generate({ prompt: 'a lighthouse', steps: 3, seed: 7, output: 'float32' });
    const factor = plain.vae.scalingFactor;
    const z = latents.map((value, i) => {
      const channel = Math.floor(i / 64);
      return (
        (value * (fields.latents_std[channel] as number)) / factor + (fields.latents_mean[channel] as number)
      );
    });
    const pixels = (await plain.vae.decode({ data: z, shape: [1, 4, 8, 8] })).data;
    const unit = pixels.map((value) => Math.min(1, Math.max(0, value / 2 + 0.5)));
    expect(distance(mine.tensor?.data ?? [], unit)).toBeLessThan(1e-5);
    await Promise.all([plain.dispose(), pipe.dispose()]);
  });

  test('pictures are encoded the other way round', async () => {
    const picture = {
      data: new Float32Array(3 * 64 * 64).map((_, i) => (i % 97) / 97),
      shape: [1, 3, 64, 64],
    };
    const encode = async () => {
      const pipe = await load();
      const out = await encodeImages(pipe.vae, picture, new NoiseSource([3n], 1), { batch: 1 } as never);
      await pipe.dispose();
      return out;
    };
    const plain = await encode();
    set('vae/config.json', fields);
    const factor = 0.18215;
    const scaled = plain.map((value, i) => {
      const channel = Math.floor(i / 64);
      return (
        ((value / factor - (fields.latents_mean[channel] as number)) * factor) /
        (fields.latents_std[channel] as number)
      );
    });
    expect(distance(await encode(), scaled)).toBeLessThan(1e-5);
  });

  test('previews are fitted, and the wrong number of them is an error', async () => {
    set('vae/config.json', fields);
    const pipe = await load();
    const seen: number[] = [];
    await pipe.generate({
      prompt: 'a',
      steps: 2,
      previewEvery: 1,
      output: 'latent',
      onStep: async ({ preview }) => void seen.push((await preview?.toImage())?.width ?? 0),
    });
    expect([...new Set(seen)]).toEqual([64]);
    await pipe.dispose();
    set('vae/config.json', { ...fields, latents_std: [1, 2] });
    expect((await rejection(load())).message).toMatch(/vae.config\.json.*latents_std/);
  });
});

test("SDXL's second tokenizer is held against its own text encoder", async () => {
  writeFileSync(join(folder, 'tokenizer/added_tokens.json'), '{"<style>": 1000}');
  const tokenizer = await CLIPTokenizer.fromPretrained(join(folder, 'tokenizer'));
  const check = (vocabSize: number) => () =>
    checkTokenizer(folder, tokenizer, { vocabSize, maxLength: 77 }, '_2');
  expect(check(1000)).toThrow(
    /tokenizer_2 has ids up to 1000, text_encoder_2 knows 1000.*"<style>" of .*added_tokens/,
  );
  expect(check(1001)).not.toThrow();
});

describe('pipelines that are not known', () => {
  const called = async (fields: Json) => {
    set('model_index.json', fields);
    const said: string[] = [];
    const pipe = await load((message) => said.push(message));
    const { className } = pipe.constructor as unknown as { className: string };
    await pipe.dispose();
    return { className, said: said.join('\n') };
  };

  test.each(['StableDiffusionPipelineSafe', ['my_pipeline', 'MyPipeline']])(
    'over the parts of Stable Diffusion: %j',
    async (_class_name) => {
      const { className, said } = await called({ _class_name });
      expect(className).toBe('StableDiffusionPipeline');
      expect(said).toMatch(/(StableDiffusionPipelineSafe|MyPipeline) is not known.*StableDiffusionPipeline/);
    },
  );

  test('[file, class] of a class that is known', async () => {
    const { className, said } = await called({ _class_name: ['x', 'StableDiffusionImg2ImgPipeline'] });
    expect([className, said]).toEqual(['StableDiffusionImg2ImgPipeline', '']);
  });

  test('over other parts: the error tells the way', async () => {
    set('model_index.json', { _class_name: 'MyPipeline', controlnet: ['diffusers', 'ControlNetModel'] });
    const error = await rejection(load());
    expect(error).toMatchObject({ code: 'ERR_DEEPCACHE_UNSUPPORTED' });
    expect(error.message).toMatch(/MyPipeline.*StableDiffusionPipeline\.fromPretrained/);
    const pipe = await StableDiffusionPipeline.fromPretrained(folder, { device: 'cpu', log: () => {} });
    await pipe.dispose();
  });

  test('U-Nets with other inputs are not taken for text to image', async () => {
    set('model_index.json', { _class_name: 'MyDepthPipeline' });
    set('unet/config.json', { in_channels: 5 });
    expect((await rejection(load())).message).toContain('MyDepthPipeline');
  });
});

describe('inpainting U-Nets', () => {
  beforeEach(async () => {
    await replaceModel('unet', { in_channels: 9 })(folder);
  });

  test('as a text-to-image pipeline: refused when it is loaded, in words', async () => {
    const error = await rejection(load());
    expect(error).toMatchObject({ code: 'ERR_DEEPCACHE_UNSUPPORTED' });
    expect(error.message).toMatch(/inpainting model.*9 channels.*mask.*StableDiffusionInpaintPipeline/);
  });

  test('as what they are: the way to other kinds is refused, the pipeline goes on', async () => {
    set('model_index.json', { _class_name: 'StableDiffusionInpaintPipeline' });
    const pipe = await load();
    expect(() => StableDiffusionImg2ImgPipeline.from(pipe)).toThrow(/inpainting model/);
    const picture = { data: new Float32Array(3 * 64 * 64).fill(0.5), shape: [1, 3, 64, 64] };
    const maskImage = { data: new Float32Array(64 * 64).fill(1), shape: [1, 1, 64, 64] };
    const run = { prompt: 'a', steps: 1, image: picture, maskImage, output: 'latent' };
    expect((await pipe.generate(untyped(run))).tensor?.shape).toEqual([1, 4, 8, 8]);
    await pipe.dispose();
  });

  test('as an unknown class: an inpainting pipeline', async () => {
    set('model_index.json', { _class_name: 'Mine' });
    const pipe = await load();
    expect((pipe.constructor as unknown as { className: string }).className).toBe(
      'StableDiffusionInpaintPipeline',
    );
    await pipe.dispose();
  });
});

test('fields that nobody knows are told', async () => {
  set('unet/config.json', { new_trick: 2, off: false });
  set('vae/config.json', { scale_shift: [1] });
  const said: string[] = [];
  const pipe = await load((message) => said.push(message));
  expect(said).toEqual([
    expect.stringMatching(/unet.config\.json: "new_trick"/),
    expect.stringMatching(/vae.config\.json: "scale_shift"/),
  ]);
  await pipe.dispose();
});
