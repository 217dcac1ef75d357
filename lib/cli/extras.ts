import type { GenerateOptions } from '../pipelines/inputs/options.js';
import { type GivenEmbedding, givenEmbeddings, loadEmbeddings } from './embeddings.js';
import {
  type IpAdapterFlags,
  loadIpAdapters,
  optionsOfIpAdapters,
  type WantedIpAdapter,
  wantedIpAdapters,
} from './ip-adapters.js';
import { loadLoras, type WantedLora, wantedLoras } from './loras.js';

/** What a command puts on its pipeline: adapters, textual inversions and pictures beside the prompt. */
export interface Extras {
  readonly loras: readonly WantedLora[];
  readonly embeddings: readonly GivenEmbedding[];
  readonly ipAdapters: readonly WantedIpAdapter[];
  /** Of the runs: whether their prompts name adapters, and the pictures. */
  readonly options: Pick<GenerateOptions, 'loraSyntax' | 'ipAdapterImage' | 'ipAdapterScale'>;
}

interface ExtraFlags extends IpAdapterFlags {
  lora?: string[];
  loraDir?: string;
  embedding?: string[];
  prompt2?: string | readonly string[];
  negativePrompt?: string | readonly string[];
  negativePrompt2?: string | readonly string[];
  modelsDir?: string;
}

/** What the flags and the prompts ask for, looked at before a model is loaded. */
export async function givenExtras(
  flags: ExtraFlags,
  prompts: readonly string[],
  signal: AbortSignal,
): Promise<Extras> {
  const { loras, tagged } = await wantedLoras(
    flags,
    {
      prompt: prompts,
      ...(flags.prompt2 !== undefined && { prompt2: flags.prompt2 }),
      ...(flags.negativePrompt !== undefined && { negativePrompt: flags.negativePrompt }),
      ...(flags.negativePrompt2 !== undefined && { negativePrompt2: flags.negativePrompt2 }),
    },
    signal,
  );
  const embeddings = await givenEmbeddings(flags, signal);
  const ipAdapters = await wantedIpAdapters(flags, signal);
  const options = {
    ...(tagged && { loraSyntax: true }),
    ...optionsOfIpAdapters(ipAdapters),
  };
  return { loras, embeddings, ipAdapters, options };
}

/** Loads them into a pipeline. */
export async function loadExtras(
  pipe: object,
  { loras, embeddings, ipAdapters }: Extras,
  signal: AbortSignal,
): Promise<void> {
  await loadLoras(pipe, loras, signal);
  await loadEmbeddings(pipe, embeddings);
  await loadIpAdapters(pipe, ipAdapters, signal);
}
