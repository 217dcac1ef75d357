import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { LIMITS, readSmallFile } from '../files/read.js';
import { packageRoot } from '../package-root.js';
import { inSlices, type Sliced } from '../slices.js';
import { BYTE_CHARACTERS } from './bpe.js';
import { CLIPTokenizer } from './clip-tokenizer.js';
import type { TokenizerFiles } from './tokenizer-files.js';

const START = '<|startoftext|>';
const END = '<|endoftext|>';
const LENGTH = 77;

/**
 * The tokenizer of CLIP, which all published models of the Stable Diffusion family have.
 *
 * @param pad the token that fills texts up: the end token, or "!" (SD 2.x, the second tokenizer of SDXL).
 */
export async function publishedTokenizer(pad: string, signal?: AbortSignal): Promise<CLIPTokenizer> {
  const { file, words } = await publishedWords(signal);
  const special = { bos: START, eos: END, unk: END, pad };
  return new CLIPTokenizer({ ...words, file, special, added: [], modelMaxLength: LENGTH });
}

/** Its vocabulary and merges, and the file that they are from. */
export async function publishedWords(signal?: AbortSignal) {
  const file = join(packageRoot(), 'models/clip/merges.txt.gz');
  const packed = await readSmallFile(file, LIMITS.vocabulary, { signal });
  const text = (await promisify(gunzip)(packed)).toString('utf8');
  return { file, words: await inSlices(readWords(text.trimEnd().split('\n')), signal) };
}

/** Words between two pauses. */
const STRETCH = 512;

/** The vocabulary in the order in which CLIP's was made: bytes, bytes at the end of a word, merges, start and end. */
function* readWords(
  lines: readonly string[],
): Sliced<Pick<TokenizerFiles, 'vocab' | 'texts' | 'maxId' | 'merges'>> {
  const vocab = new Map<string, number>();
  const texts = new Map<number, string>();
  const merges = new Map<string, number>();
  const add = (token: string) => {
    texts.set(vocab.size, token);
    vocab.set(token, vocab.size);
  };
  // Bytes that are printable come first: their characters are below those of the others.
  const bytes = [...BYTE_CHARACTERS].sort();
  for (const byte of bytes) add(byte);
  for (const byte of bytes) add(`${byte}</w>`);
  for (const [rank, line] of lines.entries()) {
    add(line.replace(' ', ''));
    merges.set(line, rank);
    if (rank % STRETCH === 0) yield;
  }
  for (const token of [START, END]) add(token);
  return { vocab, texts, maxId: vocab.size - 1, merges };
}
