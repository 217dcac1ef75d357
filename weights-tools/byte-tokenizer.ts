import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BYTE_CHARACTERS } from '../lib/tokenizers/bpe.js';

const START = '<|startoftext|>';
const END = '<|endoftext|>';

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
  const special = { bos_token: START, eos_token: END, unk_token: END, pad_token: END };
  const config = {
    ...special,
    add_prefix_space: false,
    do_lower_case: true,
    errors: 'replace',
    model_max_length: 77,
    tokenizer_class: 'CLIPTokenizer',
  };
  const write = (name: string, text: string) => writeFile(join(folder, name), text);
  await write('vocab.json', JSON.stringify(vocab));
  await write('merges.txt', '#version: 0.2\n');
  await write('special_tokens_map.json', `${JSON.stringify(special, null, 2)}\n`);
  await write('tokenizer_config.json', `${JSON.stringify(config, null, 2)}\n`);
}
