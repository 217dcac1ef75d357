import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PNDM } from '../lib/configs/samplers.js';
import { native } from '../lib/native/binding.js';
import { finish } from '../lib/native/device.js';
import type { ModelKind, TensorShape } from '../lib/native/types.js';
import { CLIPTokenizer } from '../lib/tokenizers/clip-tokenizer.js';
import { byteVocabulary, writeByteTokenizer } from './byte-tokenizer.js';
import { type Config, MODEL_INDEX, textEncoderConfig, vaeConfig } from './configs.js';

export interface SyntheticModelOptions {
  /** Of the U-Net; the other parts are made to fit it. */
  unet: Config;
  /** Other parts of few channels and layers. */
  isSmall?: boolean;
  unetOnly?: boolean;
  dtype?: 'float16' | 'float32';
  /** A folder whose files are copied; by default one token stands for one byte. */
  tokenizer?: string | undefined;
  /** At least so many rows of token embeddings, though the tokenizer has less. */
  vocabulary?: number;
  /** Values written and in all, of each component. */
  onProgress?: (component: string, done: number, total: number) => void;
  signal?: AbortSignal;
}

/** Components by their folders, with the stems of their weight files. */
const STEMS: Readonly<Record<ModelKind, string>> = {
  unet: 'diffusion_pytorch_model',
  vae: 'diffusion_pytorch_model',
  text_encoder: 'model',
  image_encoder: 'model',
  upscaler: 'model',
  t2i_adapter: 'diffusion_pytorch_model',
};

/**
 * Writes a folder in the diffusers layout whose weights are synthetic: a function of the tensors' names and shapes
 * alone, see native/runtime/synth.h. Pictures mean nothing; sizes, times and numbers are those of a real model.
 *
 * @returns the number of values written.
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_CONFIG or ERR_DEEPCACHE_UNSUPPORTED for the U-Net's configuration.
 */
export async function writeSyntheticModel(folder: string, options: SyntheticModelOptions): Promise<number> {
  const { unet, isSmall = false, unetOnly = false, tokenizer } = options;
  // Checks the configuration before anything is written.
  const unetTensors = tensorsOf('unet', unet);
  let values = 0;
  const component = async (kind: ModelKind, config: Config, tensors: readonly TensorShape[]) => {
    await writeComponent(join(folder, kind), kind, config, tensors, options);
    values += countValues(tensors);
  };
  if (!unetOnly) {
    const { cross_attention_dim: width, out_channels: channels, sample_size: size = 64 } = unet;
    const vocabulary = tokenizer
      ? (await CLIPTokenizer.fromPretrained(tokenizer)).vocabSize
      : byteVocabulary().length;
    const rows = Math.max(vocabulary, options.vocabulary ?? 0);
    const text = textEncoderConfig(width as number, rows, isSmall);
    const vae = vaeConfig((channels ?? 4) as number, size as number, isSmall);
    await mkdir(join(folder, 'tokenizer'), { recursive: true });
    if (tokenizer) await cp(tokenizer, join(folder, 'tokenizer'), { recursive: true });
    else await writeByteTokenizer(join(folder, 'tokenizer'));
    await mkdir(join(folder, 'scheduler'), { recursive: true });
    await writeJson(join(folder, 'scheduler/scheduler_config.json'), PNDM);
    await component('text_encoder', text, tensorsOf('text_encoder', text));
    await component('vae', vae, tensorsOf('vae', vae));
  }
  await component('unet', unet, unetTensors);
  // Last, since it is what makes the folder a model.
  if (!unetOnly) await writeJson(join(folder, 'model_index.json'), MODEL_INDEX);
  return values;
}

async function writeComponent(
  folder: string,
  kind: ModelKind,
  config: Config,
  tensors: readonly TensorShape[],
  { dtype = 'float16', onProgress, signal }: SyntheticModelOptions,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeJson(join(folder, 'config.json'), config);
  const path = join(folder, `${STEMS[kind]}.safetensors`);
  const start = () =>
    native().writeSynthetic({ path, tensors, dtype }, (done, total) => onProgress?.(kind, done, total));
  await finish(start, signal);
}

function tensorsOf(kind: ModelKind, config: Config): TensorShape[] {
  return native().weightShapes(kind, JSON.stringify(config));
}

function countValues(tensors: readonly TensorShape[]): number {
  return tensors.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
}

async function writeJson(path: string, value: Config): Promise<void> {
  await writeFile(path, `${JSON.stringify(value, null, 2)}\n`);
}
