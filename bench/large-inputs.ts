import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LIMITS } from '../lib/files/read.js';

const MEGABYTE = 2 ** 20;
const VOCABULARY = 'test/fixtures/clip_vocab';

/** Prompts of a megabyte. */
export function longPrompts(): Record<string, string> {
  const long = (part: string) => part.repeat(Math.ceil(MEGABYTE / part.length)).slice(0, MEGABYTE);
  return {
    words: long('a lighthouse at dusk, oil on canvas, '),
    'short words': long('a b c '),
    'one word': long('a'),
    letters: Buffer.from(Uint8Array.from({ length: MEGABYTE }, (_, i) => 97 + ((i * i) % 26))).toString(),
    emoji: long('👩\u200d🚀 '),
    ideographs: long('写真の灯台'),
    accents: `a${long('\u0301\u0327')}`,
    weights: long('(a lighthouse:1.2) at ((dusk)), [oil] on canvas, '),
    'weighted colons': long(':1 '),
    'open brackets': long('('),
    'open brackets and letters': long('[a'),
  };
}

/** Folders with as much as is read: `vocab.json` with merges.txt, and tokenizer.json. */
export function largeTokenizers(): Record<string, string> {
  const read = (name: string) => readFileSync(join(VOCABULARY, name), 'utf8');
  const [vocab, merges] = [JSON.parse(read('vocab.json')), read('merges.txt').trim().split('\n')];
  const folder = () => mkdtempSync(join(tmpdir(), 'deepcache-large-'));
  const [own, words, whole] = [folder(), folder(), folder()];
  for (const name of ['vocab.json', 'merges.txt']) writeFileSync(join(own, name), read(name));
  // As many words as are taken, and as many bytes.
  const count = 2 ** 17;
  const grown = (limit: number) => {
    const value = { ...vocab };
    const first = Object.keys(value).length;
    const left = (limit - Buffer.byteLength(JSON.stringify(value))) / (count - first);
    for (let id = first; id < count; id++)
      value[`${id.toString(36)}~`.padEnd(Math.floor(left) - 10, 'z')] = id;
    return value;
  };
  const pairs = Array.from({ length: count - merges.length }, (_, i) => `${i.toString(36)} x`);
  writeFileSync(join(words, 'vocab.json'), JSON.stringify(grown(LIMITS.vocabulary)));
  writeFileSync(join(words, 'merges.txt'), [...merges, ...pairs].join('\n'));
  const model = {
    type: 'BPE',
    end_of_word_suffix: '</w>',
    vocab: grown(2 ** 22),
    merges: [...merges, ...pairs],
  };
  writeFileSync(join(whole, 'tokenizer.json'), JSON.stringify({ model }));
  return { "CLIP's": own, 'vocab.json': words, 'tokenizer.json': whole };
}

/** The configuration of a U-Net with as many levels, layers and branches as are taken. */
export function largeUnet(): string {
  return JSON.stringify({
    block_out_channels: Array(10).fill(32),
    down_block_types: Array(10).fill('DownBlock2D'),
    up_block_types: Array(10).fill('UpBlock2D'),
    layers_per_block: 11,
    cross_attention_dim: 32,
    sample_size: 1024,
  });
}
