import { BYTE_CHARACTERS } from '../lib/tokenizers/bpe.js';
import { END, START, writeClipTokenizer } from './clip-tokenizer-files.js';

/** A token for each byte, one for each byte at the end of a word, start and end: 514 ids. */
export function byteVocabulary(): string[] {
  return [...BYTE_CHARACTERS, ...BYTE_CHARACTERS.map((character) => `${character}</w>`), START, END];
}

/**
 * Writes a CLIP tokenizer without merges, for models with synthetic weights: any text has ids, one a letter, and the
 * end token has the largest, as the text encoder wants it.
 */
export async function writeByteTokenizer(folder: string): Promise<void> {
  const vocab = Object.fromEntries(byteVocabulary().map((token, id) => [token, id]));
  await writeClipTokenizer(folder, { vocab, merges: [], pad: END });
}
