import { readdirSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { type DeepCacheError, invalidConfig } from '../errors.js';
import { native } from '../native/binding.js';

const ENDINGS = ['.safetensors', '.ckpt', '.pt', '.pth', '.bin', '.gguf'];

/** The weights that lie in a folder that is not a model; the one with most to it where there are several. */
export function checkpointIn(folder: string): string | undefined {
  const files = readdirSync(folder).filter((name) => ENDINGS.includes(extname(name).toLowerCase()));
  const best = files.sort().find((name) => extname(name) === '.safetensors') ?? files[0];
  return best && join(folder, best);
}

/**
 * The error for weights where a model's folder is expected: what they are, and the way from there. `given` is what the
 * caller named, the file itself or its folder.
 */
export function checkpointMessage(given: string, file: string): DeepCacheError {
  const what = given === file ? 'is' : `holds ${basename(file)},`;
  return invalidConfig(given, `${what} ${kindOf(file)}`);
}

const LAYOUT = 'models are folders in the diffusers layout';
const CONVERT =
  `${LAYOUT}. Convert it with diffusers in Python: StableDiffusionPipeline.from_single_file(file)` +
  '.save_pretrained(folder), or StableDiffusionXLPipeline for SDXL';

function kindOf(file: string): string {
  const ending = extname(file).toLowerCase();
  if (!ENDINGS.includes(ending)) return `a file; ${LAYOUT}`;
  const names = ending === '.safetensors' ? namesIn(file) : [];
  const has = (pattern: RegExp) => names.some((name) => pattern.test(name));
  if (has(/^model\.diffusion_model\./)) {
    return `a single-file checkpoint (U-Net, autoencoder and text encoder in one file), which is not read yet; ${CONVERT}`;
  }
  if (has(/(^|\.)lora_|\.lora\.|_lora\./)) return `a LoRA, no model: adapters are not read yet`;
  if (has(/^(module\.|_orig_mod\.)*(down_blocks|mid_block|up_blocks)\./)) {
    return `the weights of a single U-Net; ${LAYOUT}, with the other parts beside it`;
  }
  if (has(/^(module\.|_orig_mod\.)*(encoder|decoder)\./)) return `the weights of a single part; ${LAYOUT}`;
  if (has(/text_model\./)) return `the weights of a single text encoder; ${LAYOUT}`;
  return `a single file, perhaps a checkpoint; ${CONVERT}`;
}

function namesIn(file: string): string[] {
  try {
    return new (native().SafetensorsFile)(file).tensors.map(({ name }) => name);
  } catch {
    return [];
  }
}
