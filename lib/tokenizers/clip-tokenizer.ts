import { type AddedToken, AddedTokenSplitter } from './added-tokens.js';
import { BytePairEncoder } from './bpe.js';
import { segmentsOf } from './segments.js';
import { readTokenizerFiles, type TokenizerFiles } from './tokenizer-files.js';

/** How a text is made to have the model's length. */
export interface EncodePaddedOptions {
  /** Called for every text that is cut off: its index and the beginning of what was dropped, as its tokens read. */
  onTruncated?: (index: number, dropped: string) => void;
}

/**
 * CLIP's tokenizer, equal to transformers' slow `CLIPTokenizer` without ftfy: no HTML unescaping, no accent
 * stripping. Our own: the libraries there are read tokenizer.json only, and bring a runtime for other models along.
 */
export class CLIPTokenizer {
  /** Tokens per text including start and end: 77. diffusers' `model_max_length`. */
  readonly modelMaxLength: number;
  /** How many tokens there are. */
  readonly vocabSize: number;
  /** The largest id that it makes. */
  readonly maxTokenId: number;
  /** The token that texts begin with. */
  readonly bosTokenId: number;
  /** The token that texts end with. */
  readonly eosTokenId: number;
  /** Equals {@link eosTokenId} (SD 1.x) or stands for "!" (SD 2.x, the second tokenizer of SDXL). */
  readonly padTokenId: number;
  readonly #unkTokenId: number;
  readonly #vocab: ReadonlyMap<string, number>;
  readonly #vocabFile: string;
  readonly #encoder: BytePairEncoder;
  /** By their texts: special tokens, and those that the vocabulary was extended with. */
  readonly #added: ReadonlyMap<string, AddedToken>;
  readonly #splitter: AddedTokenSplitter;
  /** The texts of tokens, to show what was cut off: those of the vocabulary, and added ones. */
  readonly #texts: ReadonlyMap<number, string>;
  readonly #addedTexts = new Map<number, string>();
  readonly #files: TokenizerFiles;

  constructor(files: TokenizerFiles) {
    const { vocab, merges, special } = files;
    this.#files = files;
    this.modelMaxLength = files.modelMaxLength;
    this.#vocab = vocab;
    this.#vocabFile = files.file;
    this.#texts = files.texts;
    this.#encoder = new BytePairEncoder(merges);
    const added = new Map(files.added.map((token) => [token.content, token]));
    for (const content of Object.values(special)) {
      if (added.has(content)) continue;
      const id = vocab.get(content) as number;
      added.set(content, { content, id, lstrip: false, rstrip: false, singleWord: false, file: files.file });
    }
    this.#added = added;
    // An added token is cut out of the text before anything else happens to it, so a pad token "!"
    // takes every exclamation mark.
    this.#splitter = new AddedTokenSplitter(added.values());
    this.vocabSize = vocab.size + [...added.keys()].filter((content) => !vocab.has(content)).length;
    this.maxTokenId = [...added.values()].reduce((largest, { id }) => Math.max(largest, id), files.maxId);
    for (const { content, id } of added.values()) {
      if (!vocab.has(content)) this.#addedTexts.set(id, `${BytePairEncoder.charactersOf(content)}</w>`);
    }
    const idOf = (token: string) => this.#idOf(token) as number;
    this.bosTokenId = idOf(special.bos);
    this.eosTokenId = idOf(special.eos);
    this.padTokenId = idOf(special.pad);
    this.#unkTokenId = idOf(special.unk);
  }

  /**
   * Reads a folder's `vocab.json` and `merges.txt`, or its `tokenizer.json`, and where they exist
   * `tokenizer_config.json`, `special_tokens_map.json` and `added_tokens.json`.
   *
   * @throws DeepCacheError ERR_DEEPCACHE_INVALID_CONFIG naming the file that is missing or broken,
   * ERR_DEEPCACHE_UNSUPPORTED for a tokenizer of another kind.
   */
  static async fromPretrained(
    folder: string,
    { signal }: { signal?: AbortSignal | undefined } = {},
  ): Promise<CLIPTokenizer> {
    return new CLIPTokenizer(await readTokenizerFiles(folder, signal));
  }

  /** @internal The same with more tokens, whose ids are behind its own. */
  with(tokens: readonly AddedToken[]): CLIPTokenizer {
    return new CLIPTokenizer({ ...this.#files, added: [...this.#files.added, ...tokens] });
  }

  /** @internal Whether a text is a token that was added to the vocabulary, or a special one. */
  hasToken(text: string): boolean {
    return this.#added.has(text);
  }

  /** The tokens of a text, without start and end: `['a</w>', 'photo</w>']`. */
  tokenize(text: string): string[] {
    return [...this.#tokens(text)].flat();
  }

  /** The ids of a text, without start and end. */
  encode(text: string): number[] {
    return [...this.encodeParts(text)].flat();
  }

  /** The same in parts that take about a millisecond each, some of them empty. */
  *encodeParts(text: string): Iterable<number[]> {
    for (const tokens of this.#tokens(text)) {
      yield tokens.flatMap((token) => this.#added.get(token)?.ids ?? this.#idOf(token) ?? this.#unkTokenId);
    }
  }

  *#tokens(text: string): Iterable<string[]> {
    for (const part of this.#splitter.split(text)) {
      if (part?.token) yield [part.text];
      else if (part) for (const segment of segmentsOf(part.text)) yield this.#words(segment);
      else yield [];
    }
  }

  #words(segment: string): string[] {
    const words = cleanText(segment).match(WORD) ?? [];
    // A special token in other letters ("<|ENDOFTEXT|>") is one only after lower-casing.
    return words.flatMap((word) => (NAMED_TOKEN.test(word) ? [word] : this.#encoder.encode(word)));
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
      const read: number[] = [];
      for (const part of this.encodeParts(text)) {
        read.push(...part);
        // No more than is needed to show what was dropped.
        if (read.length > length + SHOWN) break;
      }
      const kept = read.slice(0, length - 2);
      ids.set([this.bosTokenId, ...kept, this.eosTokenId], index * length);
      if (read.length > kept.length) options.onTruncated?.(index, this.excerpt(read.slice(kept.length)));
    });
    return ids;
  }

  /** The beginning of the text of ids, for messages. */
  excerpt(ids: readonly number[]): string {
    const text = this.decode(ids.slice(0, SHOWN));
    if (ids.length <= SHOWN && text.length <= SHOWN) return text;
    return `${text.slice(0, SHOWN).replace(/[\ud800-\udbff]$/, '')}…`;
  }

  /** The text of ids, as far as it can be known: letters are lower case, spaces are guesses. */
  decode(ids: Iterable<number>): string {
    const characters = Array.from(ids, (id) => this.#addedTexts.get(id) ?? this.#texts.get(id) ?? '').join(
      '',
    );
    return BytePairEncoder.decode(characters).replaceAll('</w>', ' ').trim();
  }

  /** The first token that a text encoder of so many rows does not have. */
  tokenBeyond(rows: number): Pick<AddedToken, 'content' | 'id' | 'file'> | undefined {
    if (this.maxTokenId < rows) return undefined;
    for (const token of this.#added.values()) if (token.id >= rows) return token;
    for (const [content, id] of this.#vocab) if (id >= rows) return { content, id, file: this.#vocabFile };
    return undefined;
  }

  #idOf(token: string): number | undefined {
    return this.#added.get(token)?.id ?? this.#vocab.get(token);
  }
}

/** Tokens and characters of what was dropped that are shown. */
const SHOWN = 200;

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
