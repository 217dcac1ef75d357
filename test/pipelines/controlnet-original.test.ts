import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { StableDiffusionXLPipeline } from '../../lib/index.js';
import { writeRenamed } from '../adapters/renamed.js';
import { writeControlNet } from '../composition/made-systems.js';
import { writeXl } from './made-models.js';
import { latentsOf, SIZE, sameBits } from './tiny.js';

/** Modules of a resnet in the original code. */
const RESNET: Readonly<Record<string, string>> = {
  norm1: 'in_layers.0',
  conv1: 'in_layers.2',
  time_emb_proj: 'emb_layers.1',
  norm2: 'out_layers.0',
  conv2: 'out_layers.3',
  conv_shortcut: 'skip_connection',
};
const TOP: readonly (readonly [RegExp, string])[] = [
  [/^conv_in\./, 'input_blocks.0.0.'],
  [/^time_embedding\.linear_1\./, 'time_embed.0.'],
  [/^time_embedding\.linear_2\./, 'time_embed.2.'],
  [/^add_embedding\.linear_1\./, 'label_emb.0.0.'],
  [/^add_embedding\.linear_2\./, 'label_emb.0.2.'],
  [/^mid_block\.resnets\.0\./, 'middle_block.0.'],
  [/^mid_block\.attentions\.0\./, 'middle_block.1.'],
  [/^mid_block\.resnets\.1\./, 'middle_block.2.'],
  [/^controlnet_mid_block\./, 'middle_block_out.0.'],
  [/^controlnet_down_blocks\.(\d+)\./, 'zero_convs.$1.0.'],
  [/^controlnet_cond_embedding\.conv_in\./, 'input_hint_block.0.'],
  [/^controlnet_cond_embedding\.conv_out\./, 'input_hint_block.14.'],
];

/** diffusers' name in the original code's words. */
function original(name: string): string {
  const [, hint, rest] = /^controlnet_cond_embedding\.blocks\.(\d+)\.(.+)$/.exec(name) ?? [];
  if (hint !== undefined) return `control_model.input_hint_block.${2 * Number(hint) + 2}.${rest}`;
  let out = name;
  for (const [from, to] of TOP) out = out.replace(from, to);
  // Two layers and a downsampler for each level, behind conv_in.
  out = out.replace(
    /^down_blocks\.(\d+)\.(resnets|attentions|downsamplers)\.(\d+)\./,
    (_, level, kind, i) => {
      const block = 1 + 3 * Number(level) + (kind === 'downsamplers' ? 2 : Number(i));
      return `input_blocks.${block}.${kind === 'attentions' ? 1 : 0}.`;
    },
  );
  if (/(?:resnets|downsamplers)/.test(name)) {
    out = out.replace(
      /\.(norm\d|conv\d|time_emb_proj|conv_shortcut)\.(\w+)$/,
      (_, part, end) => `.${RESNET[part]}.${end}`,
    );
    out = out.replace(/\.conv\.(weight|bias)$/, '.op.$1');
  }
  return `control_model.${out}`;
}

test('a ControlNet of SDXL comes from a file of the original code', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'deepcache-control-xl-'));
  const model = await writeXl(join(folder, 'xl'));
  const net = await writeControlNet(model, folder, 'net');
  const weights = join(net, 'diffusion_pytorch_model.safetensors');
  const file = writeRenamed(weights, join(folder, 'net.safetensors'), original);
  const pipe = await StableDiffusionXLPipeline.fromPretrained(model, {
    device: 'cpu',
    log: () => {},
    controlNet: net,
  });
  const controlImage = {
    data: new Float32Array(3 * SIZE * SIZE).map((_, i) => (i % 7) / 7),
    shape: [1, 3, SIZE, SIZE],
  };
  const run = { width: SIZE, height: SIZE, controlImage };
  const expected = await latentsOf(pipe, run);
  await pipe.unloadControlNet();
  await pipe.loadControlNet(file);
  expect(sameBits(await latentsOf(pipe, run), expected)).toBe(true);
  await pipe.dispose();
  rmSync(folder, { recursive: true });
});
