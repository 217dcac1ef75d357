import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ClassConditionalLDMPipeline, DDPMPipeline, DiffusionPipeline } from '../../../lib/index.js';
import { native } from '../../../lib/native/binding.js';
import { numbersOf, rejection, sameBits } from '../../pipelines/tiny.js';

// Checkpoints of the DDPM code and of latent diffusion with their training configurations, against the same in a folder
// with a config.json.

const DDPM = {
  ch: 32,
  ch_mult: [1, 2],
  num_res_blocks: 1,
  attn_resolutions: [4],
  resamp_with_conv: true,
  image_size: 8,
  in_channels: 3,
  out_ch: 3,
  beta_schedule: 'linear',
  beta_start: 0.0001,
  beta_end: 0.02,
  num_diffusion_timesteps: 1000,
};

const DDPM_YAML = `
data: { dataset: CIFAR10, image_size: 8, channels: 3 }
model:
  type: simple
  in_channels: 3
  out_ch: 3
  ch: 32
  ch_mult: [1, 2]
  num_res_blocks: 1
  attn_resolutions: [4, ]
  resamp_with_conv: True
diffusion:
  beta_schedule: linear
  beta_start: 1.0e-4
  beta_end: 0.02
  num_diffusion_timesteps: 1000
`;

const LDM = {
  target: 'ldm.models.diffusion.ddpm.LatentDiffusion',
  params: {
    linear_start: 0.0015,
    linear_end: 0.0195,
    timesteps: 1000,
    image_size: 4,
    channels: 3,
    unet_config: {
      target: 'ldm.modules.diffusionmodules.openaimodel.UNetModel',
      params: {
        image_size: 4,
        in_channels: 3,
        out_channels: 3,
        model_channels: 32,
        attention_resolutions: [2],
        num_res_blocks: 1,
        channel_mult: [1, 2],
        num_heads: 1,
        use_spatial_transformer: true,
        transformer_depth: 1,
        context_dim: 8,
      },
    },
    first_stage_config: {
      target: 'ldm.models.autoencoder.VQModelInterface',
      params: {
        embed_dim: 3,
        n_embed: 16,
        ddconfig: {
          double_z: false,
          z_channels: 3,
          resolution: 8,
          in_channels: 3,
          out_ch: 3,
          ch: 32,
          ch_mult: [1, 2],
          num_res_blocks: 1,
          attn_resolutions: [],
          dropout: 0,
        },
      },
    },
    cond_stage_config: {
      target: 'ldm.modules.encoders.modules.ClassEmbedder',
      params: { n_classes: 5, embed_dim: 8, key: 'class_label' },
    },
  },
};

let place: string;
beforeAll(() => {
  place = mkdtempSync(join(tmpdir(), 'deepcache-originals-'));
});
afterAll(() => rmSync(place, { recursive: true }));

/** A folder with a config.json, and the same weights elsewhere with a .yaml file. */
async function twice(
  name: string,
  config: object,
  yaml: string,
  more: { name: string; shape: number[] }[] = [],
) {
  const [folder, single] = [join(place, name), join(place, `${name}-single`)];
  for (const path of [folder, single]) mkdirSync(path, { recursive: true });
  const text = JSON.stringify(config);
  const kinds = more.length > 0 ? (['unet', 'vae'] as const) : (['unet'] as const);
  const tensors = [...kinds.flatMap((kind) => native().weightShapes(kind, text)), ...more];
  const file = join(single, 'cin.safetensors');
  for (const path of [join(folder, 'model.safetensors'), file])
    await native().writeSynthetic({ path, tensors, dtype: 'float32' }).promise;
  writeFileSync(join(folder, 'config.json'), text);
  writeFileSync(join(single, 'cin.yaml'), yaml);
  return { folder, file };
}

const OPTIONS = { device: 'cpu', log: () => {} } as const;

describe('with a .yaml file beside it', () => {
  test('DDPM', async () => {
    const { folder, file } = await twice('ddpm', DDPM, DDPM_YAML);
    const outputs: Float32Array[] = [];
    for (const path of [folder, file]) {
      await using pipe = await DiffusionPipeline.fromPretrained(path, OPTIONS);
      expect(pipe).toBeInstanceOf(DDPMPipeline);
      outputs.push(
        numbersOf(await (pipe as unknown as DDPMPipeline).generate({ seed: 3, steps: 2, output: 'float32' })),
      );
    }
    expect(sameBits(outputs[0] as Float32Array, outputs[1] as Float32Array)).toBe(true);
  });

  test('latent diffusion, whose file may have another name where it is the only one', async () => {
    const yaml = JSON.stringify({ model: LDM, data: { target: 'main.DataModuleFromConfig' } });
    const { folder, file } = await twice('ldm', LDM, yaml, [
      { name: 'cond_stage_model.embedding.weight', shape: [5, 8] },
    ]);
    renameSync(file.replace('.safetensors', '.yaml'), join(place, 'ldm-single/project.yaml'));
    const outputs: Float32Array[] = [];
    for (const path of [folder, file]) {
      await using pipe = await ClassConditionalLDMPipeline.fromPretrained(path, OPTIONS);
      expect(pipe.numClasses).toBe(4);
      outputs.push(numbersOf(await pipe.generate({ classLabels: 2, seed: 3, steps: 2, output: 'float32' })));
    }
    expect(sameBits(outputs[0] as Float32Array, outputs[1] as Float32Array)).toBe(true);
  });
});

test('without a configuration, the way out is told', async () => {
  const { file } = await twice('none', DDPM, DDPM_YAML);
  rmSync(file.replace('.safetensors', '.yaml'));
  const error = await rejection(DiffusionPipeline.fromPretrained(file, OPTIONS));
  expect(error).toMatchObject({ code: 'ERR_DEEPCACHE_INVALID_CONFIG' });
  expect(error.message).toMatch(/needs its configuration: a \.yaml file of the same name or a config\.json/);
  writeFileSync(join(place, 'elsewhere.yml'), DDPM_YAML);
  const config = join(place, 'elsewhere.yml');
  await using pipe = await DiffusionPipeline.fromPretrained(file, { ...OPTIONS, config });
  expect(pipe).toBeInstanceOf(DDPMPipeline);
});
