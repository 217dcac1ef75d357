import { existsSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { LoraPipeline } from '../adapters/lora-pipeline.js';
import { Loras } from '../adapters/loras.js';
import { MOST_SCALE } from '../adapters/scale.js';
import { takeTags } from '../adapters/tags.js';
import { invalidArgument } from '../errors.js';
import { expandHome } from '../files/home.js';
import { isFolder } from '../files/read.js';
import { findInFolder, findInLibrary, modelsFolder } from '../library/library.js';
import { resolveExtra } from '../library/resolve.js';
import { show } from '../messages.js';

/** An adapter that a run loads. */
export interface WantedLora {
  readonly file: string;
  readonly name: string;
  readonly scale: number;
}

interface LoraFlags {
  readonly lora?: readonly string[];
  readonly loraDir?: string;
  readonly modelsDir?: string | undefined;
}

/** Prompts that may name adapters. */
export interface LoraPrompts {
  readonly prompt?: readonly string[];
  readonly prompt2?: string | readonly string[];
  readonly negativePrompt?: string | readonly string[];
  readonly negativePrompt2?: string | readonly string[];
}

/** `file` or `file:scale`; a file of the whole name comes first. */
function parseLora(text: string): { file: string; scale: number } {
  const [, file, scale] = /^(.+):([-+]?(?:\d+\.?\d*|\.\d+))$/s.exec(text) ?? [];
  if (file === undefined || existsSync(text)) return { file: text, scale: 1 };
  return { file, scale: Number(scale) };
}

/**
 * The adapters of the flags; and those that the prompts name, which count as the prompts say: of the flags by their names, else of
 * the folder of adapters, else of the folder of models.
 *
 * @returns also whether prompts name any.
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for one that is not there, or there twice, and prompts that name different ones.
 */
export async function wantedLoras(
  flags: LoraFlags,
  prompts: LoraPrompts,
  signal: AbortSignal,
): Promise<{ loras: WantedLora[]; tagged: boolean }> {
  const { lora = [], modelsDir } = flags;
  const loras: WantedLora[] = [];
  const files = new Set<string>();
  for (const { file: name, scale } of lora.map(parseLora)) {
    const file = await resolveExtra('lora', name, { modelsDir, signal, option: 'lora' });
    if (!existsSync(file)) throw invalidArgument('lora', `names a file that is not there: ${show(file)}`);
    const real = await realpath(file);
    if (files.has(real))
      throw invalidArgument('lora', `has ${show(file)} twice: give it once, with its scale`);
    files.add(real);
    if (Math.abs(scale) > MOST_SCALE) {
      const range = `-${MOST_SCALE} to ${MOST_SCALE}`;
      throw invalidArgument('lora', `${show(file)}: its scale must be a number from ${range}, got ${scale}`);
    }
    loras.push({ file, name: freeName(Loras.nameOf(file), loras), scale });
  }
  const { uses } = takeTags(prompts);
  for (const { name } of uses) {
    if (loras.some((other) => other.name === name)) continue;
    loras.push({ name, file: await namedLora(name, flags, signal), scale: 0 });
  }
  return { loras, tagged: uses.length > 0 };
}

/** Files of one name in several folders are told apart by numbers. */
function freeName(name: string, others: readonly WantedLora[]): string {
  const isTaken = (wanted: string) => others.some((other) => other.name === wanted);
  let free = name;
  for (let i = 2; isTaken(free); i++) free = `${name}-${i}`;
  return free;
}

async function namedLora(
  name: string,
  { loraDir, modelsDir }: LoraFlags,
  signal: AbortSignal,
): Promise<string> {
  if (loraDir !== undefined) {
    const root = expandHome(loraDir);
    if (!isFolder(root)) throw invalidArgument('loraDir', `must be a folder, and ${show(root)} is none`);
    return findInFolder(root, 'lora', name, { option: 'loraDir', signal });
  }
  const folder = modelsFolder(modelsDir);
  const option = 'prompt';
  const found = folder && (await findInLibrary(folder, 'lora', name, { option, signal }));
  if (found) return found;
  const where =
    folder === undefined ? 'give it by --lora, or its folder by --lora-dir' : `${folder} has none`;
  throw invalidArgument(option, `names the adapter ${show(name)}: ${where}`);
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
    await pipe.loadLora(file, { scale, name, ...(signal && { signal }) });
  }
}
