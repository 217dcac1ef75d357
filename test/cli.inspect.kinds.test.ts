import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { native } from '../lib/native/binding.js';
import { runCli } from './cli-run.js';
import { FOLDER, loadTiny } from './pipelines/tiny.js';

// What `inspect` says of files that are no models: what they are, whom they are for, and how they are loaded.

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'deepcache-kinds-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

type Shapes = Readonly<Record<string, readonly number[]>>;

async function inspected(shapes: Shapes): Promise<Record<string, unknown>> {
  const path = join(folder, 'file.safetensors');
  const tensors = Object.entries(shapes).map(([name, shape]) => ({ name, shape }));
  await native().writeSynthetic({ path, tensors, dtype: 'float32' }).promise;
  const { code, out, err } = await runCli(['inspect', path, '--json']);
  expect([code, err]).toEqual([0, '']);
  const report = JSON.parse(out);
  const text = (await runCli(['inspect', path])).out;
  for (const part of [report.title, report.family ?? '', report.use ?? '']) expect(text).toContain(part);
  expect(report.tensors).toHaveLength(tensors.length);
  return report;
}

const UNET = 'down_blocks_1_attentions_0_transformer_blocks_0';
const TO_K = `lora_unet_${UNET}_attn2_to_k`;

describe('inspect says of', () => {
  test.each<[string, Shapes, Record<string, unknown>]>([
    [
      'a LoRA for SDXL',
      {
        [`${TO_K}.lora_down.weight`]: [8, 2048],
        [`${TO_K}.lora_up.weight`]: [640, 8],
        'lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_down.weight': [4, 1280],
        'lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_up.weight': [5120, 4],
      },
      {
        kind: 'lora',
        family: 'SDXL',
        facts: { layers: '2 LoRA', networks: '1 U-Net, 1 second text encoder', rank: '4, 8' },
        use: expect.stringContaining('--lora'),
      },
    ],
    [
      'a LoHa',
      {
        [`${TO_K}.hada_w1_a`]: [320, 4],
        [`${TO_K}.hada_w1_b`]: [4, 768],
        [`${TO_K}.hada_w2_a`]: [320, 4],
        [`${TO_K}.hada_w2_b`]: [4, 768],
      },
      {
        kind: 'lora',
        family: 'Stable Diffusion 1.x',
        facts: { layers: '1 LoHa', networks: '1 U-Net', rank: '4' },
      },
    ],
    [
      'a rotation of weights',
      { [`${TO_K}.oft_blocks`]: [4, 4, 4] },
      { kind: 'lora', title: expect.stringContaining('OFT'), use: undefined },
    ],
    [
      'a motion LoRA',
      {
        'down_blocks.0.motion_modules.0.transformer_blocks.0.attn1.to_q.lora_A.weight': [4, 320],
        'down_blocks.0.motion_modules.0.transformer_blocks.0.attn1.to_q.lora_B.weight': [320, 4],
      },
      { title: 'a motion LoRA', family: 'AnimateDiff' },
    ],
    [
      'an embedding',
      { emb_params: [3, 1024] },
      { kind: 'embedding', family: 'Stable Diffusion 2.x', facts: { vectors: 3 } },
    ],
    ["an embedding under its token's name", { '<cat>': [768] }, { kind: 'embedding', facts: { vectors: 1 } }],
    [
      "SDXL's pair",
      { clip_l: [2, 768], clip_g: [2, 1280] },
      { kind: 'embedding', family: 'SDXL', facts: { vectors: 2 } },
    ],
    [
      'a ControlNet',
      {
        'control_model.input_hint_block.0.weight': [16, 3, 3, 3],
        'control_model.input_blocks.0.0.weight': [320, 4, 3, 3],
        'control_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight': [320, 768],
      },
      {
        kind: 'controlnet',
        family: 'Stable Diffusion 1.x',
        facts: { 'channels of its picture': 3 },
        use: expect.stringContaining('--control-net'),
      },
    ],
    [
      "a ControlNet in diffusers' names",
      {
        'controlnet_cond_embedding.conv_in.weight': [16, 3, 3, 3],
        'time_embedding.linear_1.weight': [1280, 320],
        'conv_in.weight': [320, 4, 3, 3],
      },
      { kind: 'controlnet' },
    ],
    [
      'a T2I-Adapter for SDXL',
      {
        'adapter.conv_in.weight': [320, 768, 3, 3],
        'adapter.body.0.resnets.0.block1.weight': [320, 320, 3, 3],
      },
      { kind: 't2i-adapter', family: 'SDXL', facts: { 'channels of its picture': 3 } },
    ],
    [
      'a T2I-Adapter for grey pictures',
      { 'conv_in.weight': [320, 64, 3, 3], 'body.0.block1.weight': [320, 320, 3, 3] },
      { kind: 't2i-adapter', facts: { 'channels of its picture': 1 } },
    ],
    [
      'an IP-Adapter Plus',
      { 'image_proj.latents': [1, 16, 768], 'ip_adapter.1.to_k_ip.weight': [320, 768] },
      {
        title: 'an IP-Adapter (Plus)',
        family: 'Stable Diffusion 1.x',
        facts: { attentions: 1 },
        use: expect.stringContaining('--ip-adapter'),
      },
    ],
    [
      'a motion module',
      {
        'down_blocks.0.motion_modules.0.temporal_transformer.proj_in.weight': [320, 320],
        'down_blocks.0.motion_modules.0.temporal_transformer.transformer_blocks.0.attention_blocks.0.pos_encoder.pe':
          [1, 32, 320],
      },
      { kind: 'motion-module', facts: { modules: 1, 'frames at most': 32 } },
    ],
    [
      'a TAESD',
      {
        'encoder.layers.0.weight': [4, 3, 3, 3],
        'encoder.layers.1.weight': [4, 4, 3, 3],
        'decoder.layers.0.weight': [4, 4, 3, 3],
        'decoder.layers.2.weight': [3, 4, 3, 3],
      },
      { title: 'an AutoencoderTiny (TAESD)', facts: { 'channels of latents': 4 } },
    ],
    [
      'the decoder of a TAESD by its authors',
      {
        '1.weight': [4, 4, 3, 3],
        ...{ '3.conv.0.weight': [4, 4, 3, 3], '3.conv.4.weight': [4, 4, 3, 3] },
        '4.weight': [3, 4, 3, 3],
      },
      { kind: 'autoencoder', use: expect.stringContaining('--preview-vae') },
    ],
    [
      'its encoder',
      {
        '0.weight': [4, 3, 3, 3],
        ...{ '1.conv.0.weight': [4, 4, 3, 3], '1.conv.4.weight': [4, 4, 3, 3] },
        '2.weight': [4, 4, 3, 3],
      },
      { kind: 'autoencoder', title: expect.stringContaining('encoder') },
    ],
    [
      'an autoencoder',
      { 'decoder.mid.block_1.norm1.weight': [512], 'decoder.conv_in.weight': [512, 4, 3, 3] },
      { kind: 'autoencoder', facts: { 'channels of latents': 4 }, use: expect.stringContaining('--vae') },
    ],
    [
      'a text encoder',
      { 'text_model.embeddings.token_embedding.weight': [40, 1280] },
      {
        kind: 'text-encoder',
        family: expect.stringContaining('SDXL'),
        use: expect.stringContaining('textEncoder2'),
      },
    ],
    [
      'an image encoder',
      { 'vision_model.embeddings.patch_embedding.weight': [16, 3, 14, 14] },
      { kind: 'image-encoder', facts: { width: 16 } },
    ],
    [
      'an upscaler',
      { 'body.0.weight': [64, 3, 3, 3], 'body.1.weight': [64], 'body.2.weight': [48, 64, 3, 3] },
      { kind: 'upscaler', facts: { factor: 4, channels: 64 }, use: expect.stringContaining('upscale') },
    ],
    [
      'a model of another kind',
      { 'model.diffusion_model.double_blocks.0.img_attn.qkv.weight': [3, 1] },
      { kind: 'unknown', title: expect.stringContaining('a Flux model') },
    ],
    [
      'a U-Net that is like no published one',
      { 'model.diffusion_model.input_blocks.0.0.weight': [320, 6, 3, 3] },
      { kind: 'model', title: expect.stringContaining('6 channels') },
    ],
    [
      'anything else',
      { 'layer.weight': [5, 5, 5] },
      { kind: 'unknown', title: expect.stringContaining('no model') },
    ],
  ])('%s', async (_, shapes, wanted) => {
    expect(await inspected(shapes)).toMatchObject(
      Object.fromEntries(Object.entries(wanted).filter(([, value]) => value !== undefined)),
    );
    if ('use' in wanted && wanted.use === undefined)
      expect(await inspected(shapes)).not.toHaveProperty('use');
  });

  test.each([
    ['AutoencoderTiny', 'encoder_block_out_channels', 'decoder_block_out_channels'],
    ['AsymmetricAutoencoderKL', 'down_block_out_channels', 'up_block_out_channels'],
  ])('a model with an %s all that it says of others', async (className, down, up) => {
    const model = join(folder, className);
    cpSync(FOLDER, model, { recursive: true });
    const index = JSON.parse(readFileSync(join(model, 'model_index.json'), 'utf8'));
    writeFileSync(
      join(model, 'model_index.json'),
      JSON.stringify({ ...index, vae: ['diffusers', className] }),
    );
    const blocks = (name: string) => Array.from({ length: 4 }, () => name);
    const config = JSON.stringify({
      _class_name: className,
      [down]: [8, 8, 8, 8],
      [up]: [8, 8, 8, 8],
      ...(className === 'AutoencoderTiny'
        ? { num_encoder_blocks: [1, 1, 1, 1], num_decoder_blocks: [1, 1, 1, 1] }
        : {
            down_block_types: blocks('DownEncoderBlock2D'),
            up_block_types: blocks('UpDecoderBlock2D'),
            norm_num_groups: 2,
          }),
    });
    writeFileSync(join(model, 'vae/config.json'), config);
    const tensors = native().weightShapes('vae', config);
    const path = join(model, 'vae/diffusion_pytorch_model.safetensors');
    await native().writeSynthetic({ path, tensors, dtype: 'float32' }).promise;
    const { out, code } = await runCli(['inspect', model, '--json']);
    expect(code).toBe(0);
    const report = JSON.parse(out);
    expect(report.memory).toMatchObject({ width: 64, height: 64 });
    const parameters = tensors.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
    expect(report.components).toContainEqual(expect.objectContaining({ name: 'vae', className, parameters }));
  });

  test('a picture its settings, as generate --from takes them', async () => {
    const pipe = await loadTiny();
    const { images } = await pipe.generate({ prompt: 'a lighthouse\nat night', steps: 2, seed: 5 });
    const path = join(folder, 'picture.png');
    await images[0]?.save(path);
    await pipe.dispose();
    const { out: json, err } = await runCli(['inspect', path, '--json']);
    expect(err).toBe('');
    const report = JSON.parse(json);
    expect(report).toMatchObject({
      format: 'png',
      width: 64,
      height: 64,
      settings: { prompt: 'a lighthouse\nat night', fields: { Steps: '2', Seed: '5' } },
    });
    const { out } = await runCli(['inspect', path]);
    expect(out).toMatch(/^.*picture\.png \(png\)\n64x64\nprompt +a lighthouse/);
    expect(out).toMatch(/^Steps +2$/m);
  });

  test('a picture without settings that it has none', async () => {
    const path = join(folder, 'plain.png');
    const { default: sharp } = await import('sharp');
    await sharp({ create: { width: 5, height: 4, channels: 3, background: '#fff' } })
      .png()
      .toFile(path);
    const { code, out } = await runCli(['inspect', path]);
    expect(code).toBe(0);
    expect(out).toMatch(/5x4\n.*holds no settings/);
  });
});
