import { join } from 'node:path';
import { writeFileAtomic } from '../lib/files/atomic-write.js';
import { publishedWords } from '../lib/tokenizers/published.js';

const START = '<|startoftext|>';
const END = '<|endoftext|>';

/** Writes the tokenizer that all published models have as transformers would. */
export async function writePublishedTokenizer(
  folder: string,
  pad: string,
  signal?: AbortSignal,
): Promise<void> {
  const { words } = await publishedWords(signal);
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
  await write('vocab.json', JSON.stringify(Object.fromEntries(words.vocab)));
  await write('merges.txt', `#version: 0.2\n${[...words.merges.keys()].join('\n')}\n`);
  await write('tokenizer_config.json', `${JSON.stringify(config, null, 2)}\n`);
  await write('special_tokens_map.json', `${JSON.stringify(special, null, 2)}\n`);
}
