import { type GivenEmbedding, givenEmbeddings, loadEmbeddings } from './embeddings.js';
import { loadLoras, type WantedLora, wantedLoras } from './loras.js';

/** What a command puts on its pipeline: adapters and textual inversions. */
export interface Extras {
  readonly loras: readonly WantedLora[];
  readonly embeddings: readonly GivenEmbedding[];
  /** An option of the runs: whether their prompts name adapters. */
  readonly syntax: { readonly loraSyntax?: true };
}

interface ExtraFlags {
  lora?: string[];
  loraDir?: string;
  embedding?: string[];
  modelsDir?: string;
}

/** What the flags and the prompts ask for, looked at before a model is loaded. */
export async function givenExtras(
  flags: ExtraFlags,
  prompts: readonly string[],
  signal: AbortSignal,
): Promise<Extras> {
  const loras = await wantedLoras(flags, prompts, signal);
  const embeddings = await givenEmbeddings(flags, signal);
  return { loras, embeddings, syntax: flags.loraDir === undefined ? {} : { loraSyntax: true } };
}

/** Loads them into a pipeline. */
export async function loadExtras(
  pipe: object,
  { loras, embeddings }: Extras,
  signal: AbortSignal,
): Promise<void> {
  await loadLoras(pipe, loras, signal);
  await loadEmbeddings(pipe, embeddings);
}
