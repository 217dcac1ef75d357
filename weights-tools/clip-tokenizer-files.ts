import { join } from 'node:path';
import { writeFileAtomic } from '../lib/files/atomic-write.js';

export const START = '<|startoftext|>';
export const END = '<|endoftext|>';

/** What a CLIP tokenizer knows: ids by token, merges in their order, and the token that fills up. */
export interface ClipTokenizerFiles {
  vocab: Readonly<Record<string, number>>;
  merges: Iterable<string>;
  pad: string;
}

/** Writes a CLIP tokenizer into a folder, as transformers would. */
export async function writeClipTokenizer(
  folder: string,
  { vocab, merges, pad }: ClipTokenizerFiles,
): Promise<void> {
  const special = { bos_token: START, eos_token: END, unk_token: END, pad_token: pad };
  const config = {
    ...special,
    add_prefix_space: false,
    do_lower_case: true,
    errors: 'replace',
    model_max_length: 77,
    tokenizer_class: 'CLIPTokenizer',
  };
  const write = (name: string, text: string) => writeFileAtomic(join(folder, name), text);
  await write('vocab.json', JSON.stringify(vocab));
  await write('merges.txt', ['#version: 0.2', ...merges, ''].join('\n'));
  await write('tokenizer_config.json', `${JSON.stringify(config, null, 2)}\n`);
  await write('special_tokens_map.json', `${JSON.stringify(special, null, 2)}\n`);
}
