import { invalidArgument } from '../errors.js';
import type { CLIPTokenizer } from '../tokenizers/clip-tokenizer.js';
import { parseWeights } from './weighting.js';

/** What a text encoder takes at once: start, up to 75 tokens, end, padding. */
export interface TokenBlock {
  /** [modelMaxLength] */
  ids: readonly number[];
  /** How strongly each token counts; start, end and padding count 1. */
  weights: readonly number[];
}

export interface BlockOptions {
  /** What the text is called in errors. */
  name: string;
  /** As many blocks as the text needs, instead of one. */
  long: boolean;
  /** Whether brackets are weights, see {@link parseWeights}, or text. */
  weighted: boolean;
  /** Called with what was cut off; long texts never are. */
  onTruncated: (dropped: string) => void;
}

/** The U-Net's cross-attention takes 2^16 tokens. */
const MOST_BLOCKS = 850;

/** A word in capitals, as the web UI has it: the next block starts here. */
const BREAK = /\bBREAK\b/;

type Token = readonly [id: number, weight: number];

/**
 * The tokens of a text in blocks. A long text goes on in the next block after every 75 tokens, and where the word
 * BREAK stands.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for weights that are too large, or too many tokens.
 */
export function toBlocks(
  tokenizer: CLIPTokenizer,
  text: string,
  { name, long, weighted, onTruncated }: BlockOptions,
): TokenBlock[] {
  const room = tokenizer.modelMaxLength - 2;
  const parts = weighted ? parseWeights(text, name) : [{ text, weight: 1 }];
  const blocks: Token[][] = [[]];
  for (const { text, weight } of parts) {
    for (const [i, piece] of (long ? text.split(BREAK) : [text]).entries()) {
      if (i > 0) blocks.push([]);
      for (const id of tokenizer.encode(piece)) {
        if (blocks.at(-1)?.length === room) blocks.push([]);
        blocks.at(-1)?.push([id, weight]);
      }
    }
  }
  if (blocks.length > 1 && blocks.at(-1)?.length === 0) blocks.pop();
  if (!long && blocks.length > 1) {
    const dropped = blocks.splice(1).flat();
    onTruncated(tokenizer.decode(dropped.map(([id]) => id)));
  }
  if (blocks.length > MOST_BLOCKS) {
    throw invalidArgument(name, `takes ${blocks.length} blocks of ${room} tokens; at most ${MOST_BLOCKS}`);
  }
  return blocks.map((tokens) => toBlock(tokenizer, tokens));
}

/** What fills a shorter text up to the number of blocks of a longer one. */
export function emptyBlock(tokenizer: CLIPTokenizer): TokenBlock {
  return toBlock(tokenizer, []);
}

function toBlock(
  { bosTokenId, eosTokenId, padTokenId, modelMaxLength }: CLIPTokenizer,
  tokens: readonly Token[],
): TokenBlock {
  const ids = [bosTokenId, ...tokens.map(([id]) => id), eosTokenId];
  const weights = [1, ...tokens.map(([, weight]) => weight), 1];
  const padding = modelMaxLength - ids.length;
  return {
    ids: [...ids, ...Array<number>(padding).fill(padTokenId)],
    weights: [...weights, ...Array<number>(padding).fill(1)],
  };
}
