import { BytePairEncoder } from './bpe.js';
import { readTokenizerFiles, type TokenizerFiles } from './tokenizer-files.js';

export interface EncodePaddedOptions {
  /** Called for every text that is cut off: its index and the text of the tokens that were dropped. */
  onTruncated?: (index: number, dropped: string) => void;
}

/**
 * CLIP's tokenizer, equal to transformers' slow `CLIPTokenizer` without ftfy: no HTML unescaping, no accent
 * stripping.
 */
export class CLIPTokenizer {
  /** Tokens per text including start and end: 77. diffusers' `model_max_length`. */
  readonly modelMaxLength: number;
  readonly vocabSize: number;
  /** The largest id that it makes. */
  readonly maxTokenId: number;
  readonly bosTokenId: number;
  readonly eosTokenId: number;
  /** Equals {@link eosTokenId} (SD 1.x) or stands for "!" (SD 2.x, the second tokenizer of SDXL). */
  readonly padTokenId: number;
  readonly #unkTokenId: number;
  readonly #vocab: ReadonlyMap<string, number>;
  readonly #encoder: BytePairEncoder;
  readonly #specialTokens: ReadonlySet<string>;
  readonly #specialPattern: RegExp;
  /** The text of every token, to show what was cut off. */
  #texts: Map<number, string> | undefined;

  constructor(files: TokenizerFiles) {
    const { vocab, merges, special } = files;
    this.modelMaxLength = files.modelMaxLength;
    this.#vocab = vocab;
    this.vocabSize = vocab.size;
    this.maxTokenId = [...vocab.values()].reduce((largest, id) => Math.max(largest, id), 0);
    this.#encoder = new BytePairEncoder(merges);
    const id = (token: string) => vocab.get(token) as number;
    this.bosTokenId = id(special.bos);
    this.eosTokenId = id(special.eos);
    this.padTokenId = id(special.pad);
    this.#unkTokenId = id(special.unk);
    this.#specialTokens = new Set(Object.values(special));
    // A special token is cut out of the text before anything else happens to it, so a pad token "!"
    // takes every exclamation mark. The longest wins where several start.
    const longestFirst = [...this.#specialTokens].sort((a, b) => b.length - a.length);
    this.#specialPattern = new RegExp(`(${longestFirst.map(escapeRegExp).join('|')})`);
  }

  /**
   * Reads `vocab.json`, `merges.txt` and, where they exist, `tokenizer_config.json` and
   * `special_tokens_map.json` of a folder.
   *
   * @throws DeepCacheError ERR_DEEPCACHE_INVALID_CONFIG naming the file that is missing or broken.
   */
  static async fromPretrained(
    folder: string,
    { signal }: { signal?: AbortSignal | undefined } = {},
  ): Promise<CLIPTokenizer> {
    return new CLIPTokenizer(await readTokenizerFiles(folder, signal));
  }

  /** The tokens of a text, without start and end: `['a</w>', 'photo</w>']`. */
  tokenize(text: string): string[] {
    return text.split(this.#specialPattern).flatMap((part) => {
      if (this.#specialTokens.has(part)) return [part];
      const words = cleanText(part).match(WORD) ?? [];
      // A special token in other letters ("<|ENDOFTEXT|>") is one only after lower-casing.
      return words.flatMap((word) => (NAMED_TOKEN.test(word) ? [word] : this.#encoder.encode(word)));
    });
  }

  /** The ids of a text, without start and end. */
  encode(text: string): number[] {
    return this.tokenize(text).map((token) => this.#vocab.get(token) ?? this.#unkTokenId);
  }

  /**
   * What a text encoder takes: start, at most modelMaxLength - 2 ids, end, padding.
   *
   * @returns [texts, modelMaxLength], row by row.
   */
  encodePadded(texts: string | readonly string[], options: EncodePaddedOptions = {}): Int32Array {
    const rows = typeof texts === 'string' ? [texts] : texts;
    const length = this.modelMaxLength;
    const ids = new Int32Array(rows.length * length).fill(this.padTokenId);
    rows.forEach((text, index) => {
      const all = this.encode(text);
      const kept = all.slice(0, length - 2);
      ids.set([this.bosTokenId, ...kept, this.eosTokenId], index * length);
      if (all.length > kept.length) options.onTruncated?.(index, this.decode(all.slice(kept.length)));
    });
    return ids;
  }

  /** The text of ids, as far as it can be told: letters are lower case, spaces are guesses. */
  decode(ids: Iterable<number>): string {
    this.#texts ??= new Map([...this.#vocab].map(([token, id]) => [id, token]));
    const characters = Array.from(ids, (id) => this.#texts?.get(id) ?? '').join('');
    return BytePairEncoder.decode(characters).replaceAll('</w>', ' ').trim();
  }
}

const NAMED_TOKEN = /^<\|(?:start|end)oftext\|>$/;

// CLIP's pattern. It ignores case, which after lower-casing is left to matter for the long s only;
// the `i` flag itself would let classes match more than transformers' pattern does.
const WORD = /<\|startoftext\|>|<\|endoftext\|>|'[sſ]|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+/gu;

// U+0000, the replacement character and all control, format, private and unassigned characters.
const DROPPED = /[\0\ufffd]|(?![\t\n\r])\p{C}/gu;

// The blocks of Chinese characters that transformers' BasicTokenizer puts spaces around.
const IDEOGRAPH =
  /[\u4e00-\u9fff\u3400-\u4dbf\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b820}-\u{2ceaf}\uf900-\ufaff\u{2f800}-\u{2fa1f}]/gu;

function cleanText(text: string): string {
  return text
    .replace(DROPPED, '')
    .replace(/[\p{Zs}\t\n\r]/gu, ' ')
    .replace(IDEOGRAPH, ' $& ')
    .normalize('NFC')
    .split(/\s+/u)
    .map((word) => word.toLowerCase())
    .join(' ');
}

function escapeRegExp(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
}
