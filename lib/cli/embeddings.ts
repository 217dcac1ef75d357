import { readEmbeddingFile } from '../embeddings/embedding-file.js';
import { invalidArgument } from '../errors.js';
import { isMissing, statOf } from '../files/read.js';
import { resolveExtra } from '../library/resolve.js';
import { TextPipeline } from '../pipelines/families/text-pipeline.js';

/** A file of `--embedding FILE[=token]`. */
export interface GivenEmbedding {
  readonly file: string;
  readonly token?: string;
}

/** What `--embedding` names, in their order, looked at before a model is loaded. A file may have the sign in its name. */
export async function givenEmbeddings(
  { embedding = [], modelsDir }: { embedding?: string[] | undefined; modelsDir?: string | undefined },
  signal: AbortSignal,
): Promise<GivenEmbedding[]> {
  const places: GivenEmbedding[] = [];
  for (const text of embedding) {
    const at = isThere(text) ? -1 : text.lastIndexOf('=');
    const [name, token] = at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
    if (!name || token === '') throw invalidArgument('embedding', 'must be a file, or FILE=token');
    const file = await resolveExtra('embedding', name, { modelsDir, signal, option: 'embedding' });
    await readEmbeddingFile(file, signal);
    places.push({ file, ...(token !== undefined && { token }) });
  }
  return places;
}

/** Loads them into a pipeline. */
export async function loadEmbeddings(pipe: object, embeddings: readonly GivenEmbedding[]): Promise<void> {
  for (const { file, token } of embeddings) {
    if (!(pipe instanceof TextPipeline))
      throw invalidArgument('embedding', 'is for models that read prompts');
    await pipe.loadTextualInversion(file, { token });
  }
}

function isThere(path: string): boolean {
  try {
    return statOf(path) !== undefined;
  } catch (error) {
    return !isMissing(error);
  }
}
