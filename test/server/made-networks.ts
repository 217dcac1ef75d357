import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { native } from '../../lib/native/binding.js';
import type { EngineNetworks } from '../../lib/server/engine/index.js';
import { AdapterFolder, values } from '../adapters/adapter-files.js';
import { writeBase, writeEncoder } from '../ip-adapter/tiny-ip-adapter.js';
import { FOLDER, loadTiny } from '../pipelines/tiny.js';
import { writeT2IAdapter } from '../t2i-adapter-file.js';

const BLOCK = 'down_blocks.0.attentions.0.transformer_blocks.0';
const RANK = 2;

/** Networks with made-up weights for the tiny model, under names. */
export async function makeNetworks(): Promise<{ folder: AdapterFolder; networks: Required<EngineNetworks> }> {
  const folder = new AdapterFolder();
  await using pipe = await loadTiny();
  const shapes = new Map(pipe.unet.weightShapes().map(({ name, shape }) => [name, shape]));
  const lora = (file: string, layers: readonly string[], seed: number, others = {}) =>
    folder.write(file, {
      ...Object.fromEntries(
        layers.flatMap((layer, i) => {
          const [rows = 0, columns = 0] = shapes.get(`${BLOCK}.${layer}.weight`) ?? [];
          const key = `lora_unet_${BLOCK}.${layer}`.replaceAll('.', '_');
          return [
            [`${key}.lora_up.weight`, values([rows, RANK], seed + 2 * i)],
            [`${key}.lora_down.weight`, values([RANK, columns], seed + 2 * i + 1)],
          ];
        }),
      ),
      ...others,
    });
  const width = pipe.unet.contextWidth;
  const base = writeBase(folder, 'ip.safetensors', pipe);
  const imageEncoder = await writeEncoder(folder);
  const networks = {
    loras: {
      ink: lora('secret-ink.safetensors', ['attn1.to_q', 'attn2.to_k'], 1),
      chalk: lora('secret-chalk.safetensors', ['attn1.to_q', 'attn1.to_v'], 50),
      words: lora('secret-words.safetensors', ['attn1.to_v'], 90, {
        'bundle_emb.lighthouse.string_to_param.*': values([1, width], 91),
      }),
      broken: folder.write('secret-broken.safetensors', { 'x.lora_up.weight': values([2, 2], 1) }),
    },
    controlNets: { canny: await writeNet(folder, 'net-a'), depth: await writeNet(folder, 'net-b', 2) },
    t2iAdapters: {
      sketch: await writeT2IAdapter(join(folder.path, 't2i-a')),
      lines: await writeT2IAdapter(join(folder.path, 't2i-b'), { num_res_blocks: 1 }),
    },
    ipAdapters: { face: { file: base, imageEncoder } },
    upscalers: { sharp: await writeUpscaler(folder) },
    embeddings: { 'a-word': folder.write('secret-word.safetensors', { emb_params: values([2, width], 7) }) },
  };
  return { folder, networks };
}

async function writeNet({ path }: AdapterFolder, name: string, first = 1): Promise<string> {
  const folder = join(path, name);
  mkdirSync(folder);
  const {
    up_block_types: _,
    out_channels: __,
    ...unet
  } = JSON.parse(readFileSync(join(FOLDER, 'unet/config.json'), 'utf8'));
  const config = JSON.stringify({
    ...unet,
    _class_name: 'ControlNetModel',
    conditioning_embedding_out_channels: [4 * first, 8, 12, 16],
  });
  writeFileSync(join(folder, 'config.json'), config);
  const tensors = native().weightShapes('unet', config);
  const file = join(folder, 'diffusion_pytorch_model.safetensors');
  await native().writeSynthetic({ path: file, tensors, dtype: 'float32' }).promise;
  return folder;
}

async function writeUpscaler({ path }: AdapterFolder): Promise<string> {
  const file = join(path, 'secret-x2.safetensors');
  const config = { _class_name: 'SRVGGNetCompact', num_feat: 8, num_conv: 1, upscale: 2 };
  const tensors = native().weightShapes('upscaler', JSON.stringify(config));
  await native().writeSynthetic({ path: file, tensors, dtype: 'float32' }).promise;
  return file;
}
