import { invalidArgument } from '../errors.js';
import type { Sliced } from '../slices.js';
import type { CLIPTokenizer } from '../tokenizers/clip-tokenizer.js';
import { type WeightedText, weightSlices } from './weighting.js';

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
  /** Whether brackets are weights, see parseWeights, or text. */
  weighted: boolean;
  /** Called with what was cut off; long texts never are. */
  onTruncated: (dropped: string) => void;
}

/** The U-Net's cross-attention takes 2^16 tokens. */
const MOST_BLOCKS = 850;

/** Blocks that are read of a text that is cut off after the first one. */
const MOST_CUT = 4;

/** A word in capitals, as the web UI has it: the next block starts here. */
const BREAK = /\bBREAK\b/g;

type Token = readonly [id: number, weight: number];

interface Piece extends WeightedText {
  /** Whether it starts the next block. */
  isNext?: boolean;
}

/**
 * The tokens of a text in blocks. A long text goes on in the next block after every 75 tokens, and where the word
 * BREAK stands.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for weights that are too large, or too many tokens.
 */
export function* toBlocks(
  tokenizer: CLIPTokenizer,
  text: string,
  { name, long, weighted, onTruncated }: BlockOptions,
): Sliced<TokenBlock[]> {
  const room = tokenizer.modelMaxLength - 2;
  const parts = weighted ? yield* weightSlices(text, name) : [{ text, weight: 1 }];
  const blocks: Token[][] = [[]];
  const most = long ? MOST_BLOCKS : MOST_CUT;
  const pieces: Iterable<Piece | undefined> = long ? piecesOf(parts) : parts;
  reading: for (const piece of pieces) {
    if (!piece) {
      yield;
      continue;
    }
    if (piece.isNext) blocks.push([]);
    for (const ids of tokenizer.encodeParts(piece.text)) {
      for (const id of ids) {
        if (blocks.at(-1)?.length === room) blocks.push([]);
        blocks.at(-1)?.push([id, piece.weight]);
      }
      yield;
      // One that is begun may still turn out to be empty.
      if (blocks.length > most + 1) break reading;
    }
  }
  if (blocks.length > 1 && blocks.at(-1)?.length === 0) blocks.pop();
  if (blocks.length > MOST_BLOCKS) {
    throw invalidArgument(name, `takes more than ${MOST_BLOCKS} blocks of ${room} tokens`);
  }
  if (!long && blocks.length > 1) {
    const dropped = blocks.splice(1).flat();
    onTruncated(tokenizer.excerpt(dropped.map(([id]) => id)));
  }
  return blocks.map((tokens) => toBlock(tokenizer, tokens));
}

/** The parts between the words BREAK. */
function* piecesOf(parts: Iterable<WeightedText | undefined>): Iterable<Piece | undefined> {
  for (const part of parts) {
    if (!part) {
      yield undefined;
      continue;
    }
    const { text, weight } = part;
    let start = 0;
    for (const { index, 0: word } of text.matchAll(BREAK)) {
      yield { text: text.slice(start, index), weight, isNext: start > 0 };
      start = index + word.length;
    }
    yield { text: text.slice(start), weight, isNext: start > 0 };
  }
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
