import { publishedWords } from '../lib/tokenizers/published.js';
import { writeClipTokenizer } from './clip-tokenizer-files.js';

/** Writes the tokenizer that all published models have. */
export async function writePublishedTokenizer(
  folder: string,
  pad: string,
  signal?: AbortSignal,
): Promise<void> {
  const { words } = await publishedWords(signal);
  await writeClipTokenizer(folder, {
    vocab: Object.fromEntries(words.vocab),
    merges: words.merges.keys(),
    pad,
  });
}
