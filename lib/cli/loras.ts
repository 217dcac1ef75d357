import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { LoraPipeline } from '../adapters/lora-pipeline.js';
import { takeTags } from '../adapters/tags.js';
import { invalidArgument } from '../errors.js';
import { resolveExtra } from '../library/resolve.js';
import { show } from '../messages.js';

/** An adapter that a run loads. */
export interface WantedLora {
  readonly file: string;
  readonly name?: string;
  readonly scale: number;
}

interface LoraFlags {
  readonly lora?: readonly string[];
  readonly loraDir?: string;
  readonly modelsDir?: string | undefined;
}

const ENDINGS = ['.safetensors', '.pt', '.bin', '.ckpt'];

/** `file` or `file:scale`; a file of the whole name comes first. */
function parseLora(text: string): WantedLora {
  const [, file, scale] = /^(.+):(-?(?:\d+\.?\d*|\.\d+))$/.exec(text) ?? [];
  if (file === undefined || existsSync(text)) return { file: text, scale: 1 };
  return { file, scale: Number(scale) };
}

/**
 * The adapters of the flags, and those of a folder that the prompts name, which count as the prompts say.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for one that is not there, and prompts that name different ones.
 */
export async function wantedLoras(
  { lora = [], loraDir, modelsDir }: LoraFlags,
  prompts: readonly string[],
  signal: AbortSignal,
): Promise<WantedLora[]> {
  const given: WantedLora[] = [];
  for (const { file: name, scale } of lora.map(parseLora)) {
    const file = await resolveExtra('lora', name, { modelsDir, signal, option: 'lora' });
    given.push({ file, scale });
    if (!existsSync(file)) throw invalidArgument('lora', `names a file that is not there: ${show(file)}`);
  }
  if (loraDir === undefined) return given;
  const { uses } = takeTags({ prompt: prompts });
  const named = uses.map(({ name }) => ({ name, file: inFolder(loraDir, name), scale: 0 }));
  return [...given, ...named];
}

function inFolder(folder: string, name: string): string {
  const paths = name === basename(name) ? ['', ...ENDINGS].map((ending) => join(folder, name + ending)) : [];
  const found = paths.find((path) => existsSync(path));
  if (found) return found;
  throw invalidArgument('loraDir', `has no adapter ${show(name)}, which the prompt names`);
}

/** Loads them, on a pipeline that takes such. */
export async function loadLoras(
  pipe: unknown,
  loras: readonly WantedLora[],
  signal: AbortSignal | undefined,
): Promise<void> {
  if (loras.length === 0) return;
  if (!(pipe instanceof LoraPipeline)) {
    throw invalidArgument('lora', 'is for Stable Diffusion and SDXL; this model takes no adapters');
  }
  for (const { file, name, scale } of loras) {
    await pipe.loadLora(file, { scale, ...(name !== undefined && { name }), ...(signal && { signal }) });
  }
}
