import { describe, expect, test } from '@jest/globals';
import { PUBLISHED, type PublishedName } from '../../../lib/configs/published.js';
import { Checkpoint } from '../../../lib/models/single-file/checkpoint.js';
import { kindOf } from '../../../lib/models/single-file/kind.js';
import { layoutOf } from '../../../lib/models/single-file/layouts.js';
import { originalLayoutOf, originalNaming } from '../../../lib/models/single-file/original-layouts.js';
import { SingleFileSource } from '../../../lib/models/single-file/single-file-source.js';
import { findPipeline, type PipelineClass } from '../../../lib/pipelines/loading/registry.js';
import { readUpscalerFacts } from '../../../lib/pipelines/loading/upscaler-parts.js';
// Registers all pipelines.
import '../../../lib/index.js';
import { native } from '../../../lib/native/binding.js';
import type { ModelKind } from '../../../lib/native/types.js';

// What a checkpoint is, from names and shapes; there are no weights.

type Shapes = Record<string, readonly number[]>;

const KINDS: Readonly<Record<string, ModelKind>> = {
  unet: 'unet',
  vae: 'vae',
  text_encoder: 'text_encoder',
  text_encoder_2: 'text_encoder',
  image_encoder: 'image_encoder',
};

/** The names and shapes in the file of a published model. */
function shapesOf(name: PublishedName, parts = Object.keys(KINDS)): Shapes {
  const files: Readonly<Record<string, Readonly<Record<string, unknown>>>> = PUBLISHED[name].files;
  const layout = originalLayoutOf(files['model_index.json'] ?? {}, files['text_encoder/config.json']);
  const shapes: Shapes = {};
  for (const part of parts) {
    const config = files[`${part}/config.json`];
    const naming = config && layout && originalNaming(layout, part, config);
    if (!naming) continue;
    for (const tensor of native().weightShapes(KINDS[part] as ModelKind, JSON.stringify(config))) {
      shapes[naming(tensor.name).key] = tensor.shape;
    }
  }
  return shapes;
}

function checkpoint(shapes: Shapes): Checkpoint {
  const tensors = Object.entries(shapes).map(([name, shape]) => ({
    name,
    shape,
    dtype: 'F16',
    file: 'x',
    offset: 0,
    bytes: 0,
  }));
  return new Checkpoint('x.safetensors', tensors);
}

const WITHOUT_BASE = Object.keys(PUBLISHED).filter((name) => name !== 'sd2-base') as PublishedName[];

describe.each(WITHOUT_BASE)('%s', (name) => {
  test('is known by its file', () => {
    expect(kindOf(checkpoint(shapesOf(name)))).toBe(name);
  });

  test('is known by its U-Net alone', () => {
    expect(kindOf(checkpoint(shapesOf(name, ['unet'])))).toBe(name);
  });

  test('has all of its parts', () => {
    const file = checkpoint(shapesOf(name));
    const parts = Object.keys(KINDS).filter((part) => `${part}/config.json` in PUBLISHED[name].files);
    expect(parts.filter((part) => layoutOf(file, part) !== undefined)).toEqual(parts);
  });
});

test('the base model of Stable Diffusion 2 has the shapes of the other', () => {
  expect(kindOf(checkpoint(shapesOf('sd2-base')))).toBe('sd2');
});

describe('what goes with', () => {
  const source = (name: PublishedName) => {
    const published = PUBLISHED[name];
    const file = checkpoint(shapesOf(name));
    return new SingleFileSource(file, { published, changes: {} }, published.files['model_index.json'], {
      useEma: false,
      supplied: [],
    });
  };

  test.each([
    ['sd1-pix2pix', 'StableDiffusionInstructPix2PixPipeline', 'EulerAncestralDiscreteScheduler', 859_532_484],
    ['sd2-depth', 'StableDiffusionDepth2ImgPipeline', 'PNDMScheduler', 865_913_604],
    ['sd2-upscaler', 'StableDiffusionUpscalePipeline', 'DDIMScheduler', 473_398_020],
  ] as const)('%s is its pipeline, sampler and U-Net', async (name, className, sampler, parameters) => {
    const own = source(name);
    const { value } = await own.json('model_index.json');
    expect(value._class_name).toBe(className);
    const { family } = findPipeline(className) as PipelineClass;
    const { scheduler } = await family.readFacts({ source: own, className, value }, {});
    expect(scheduler.className).toBe(sampler);
    const { text } = await own.json('unet/config.json');
    const count = native()
      .weightShapes('unet', text)
      .reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
    expect(count).toBe(parameters);
  });

  test('the x4 upscaler says how its small pictures are noised', async () => {
    const own = source('sd2-upscaler');
    const { value } = await own.json('model_index.json');
    const className = 'StableDiffusionUpscalePipeline';
    const { facts } = await readUpscalerFacts({ source: own, className, value }, {});
    expect(facts).toMatchObject({ maxNoiseLevel: 350, scale: 4, channels: 4 });
  });
});

describe('is refused by name:', () => {
  const wide = (name: PublishedName, channels: number): Shapes => {
    const shapes = shapesOf(name, ['unet']);
    return { ...shapes, 'model.diffusion_model.input_blocks.0.0.weight': [320, channels, 3, 3] };
  };
  const unsupported: [string, Shapes, RegExp][] = [
    [
      'InstructPix2Pix of SDXL',
      wide('sdxl', 8),
      /a model like SDXL whose U-Net takes a picture's latents .*single files are read of Stable Diffusion 1\.x/,
    ],
    [
      'an upscaler of Stable Diffusion 1',
      wide('sd1', 7),
      /Stable Diffusion 1\.x whose U-Net takes a picture beside/,
    ],
    ['a depth model of Stable Diffusion 1', wide('sd1', 5), /takes a depth map beside the latents/],
    ['other inputs', wide('sd1', 6), /takes 6 channels/],
    ['Flux', { 'model.diffusion_model.double_blocks.0.img_attn.qkv.weight': [1, 1] }, /a Flux model/],
    ['SD3', { 'model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight': [1, 1] }, /Stable Diffusion 3/],
  ];
  test.each(unsupported)('%s', (_, shapes, message) => {
    expect(() => kindOf(checkpoint(shapes))).toThrow(
      expect.objectContaining({ code: 'ERR_DEEPCACHE_UNSUPPORTED', message: expect.stringMatching(message) }),
    );
  });

  const noModels: [string, Shapes, RegExp][] = [
    [
      'a LoRA',
      { 'lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight': [4, 320] },
      /a LoRA, no model/,
    ],
    ['an embedding', { emb_params: [2, 768] }, /a textual inversion/],
    [
      'ControlNet',
      { 'control_model.input_blocks.0.0.weight': [320, 4, 3, 3] },
      /a ControlNet, .* controlNet/,
    ],
    [
      "ControlNet in diffusers' names",
      { 'controlnet_cond_embedding.conv_in.weight': [16, 3, 3, 3], 'time_embedding.linear_1.weight': [1, 1] },
      /a ControlNet/,
    ],
    ['T2I-Adapter', { 'adapter.body.0.resnets.0.block1.weight': [320, 320, 3, 3] }, /a T2I-Adapter/],
    ['IP-Adapter', { 'ip_adapter.1.to_k_ip.weight': [320, 768] }, /an IP-Adapter, .*--ip-adapter/],
    [
      'motion modules',
      { 'down_blocks.0.motion_modules.0.temporal_transformer.proj_in.weight': [320, 320] },
      /a motion module/,
    ],
    [
      'a tiny autoencoder',
      {
        'encoder.layers.0.weight': [4, 3, 3, 3],
        'encoder.layers.1.conv.0.weight': [4, 4, 3, 3],
        'encoder.layers.2.weight': [4, 4, 3, 3],
        'decoder.layers.0.weight': [4, 4, 3, 3],
        'decoder.layers.2.conv.0.weight': [4, 4, 3, 3],
        'decoder.layers.3.weight': [3, 4, 3, 3],
      },
      /an autoencoder alone/,
    ],
    ['an autoencoder', shapesOf('sd1', ['vae']), /an autoencoder alone: .* vae/],
    ['a text encoder', shapesOf('sd1', ['text_encoder']), /a text encoder alone: .* textEncoder/],
    ['anything else', { 'layer.weight': [1] }, /holds no U-Net/],
  ];
  test.each(noModels)('%s', (_, shapes, message) => {
    expect(() => kindOf(checkpoint(shapes))).toThrow(
      expect.objectContaining({
        code: 'ERR_DEEPCACHE_INVALID_CONFIG',
        message: expect.stringMatching(message),
      }),
    );
  });
});
