import { basename } from 'node:path';
import { DeepCacheError, invalidArgument } from '../errors.js';
import { show } from '../messages.js';
import type { CLIPTextModel } from '../models/text-encoder.js';
import type { AddedToken } from '../tokenizers/added-tokens.js';
import { LONGEST_TOKEN } from '../tokenizers/added-tokens.js';
import type { CLIPTokenizer } from '../tokenizers/clip-tokenizer.js';
import type { EmbeddingFile, EmbeddingRows } from './embedding-file.js';

/** A textual inversion that a pipeline has. */
export interface TextualInversion {
  /** What stands for it in prompts. */
  readonly token: string;
  /** The file's name, without its folders. */
  readonly file: string;
  /** The first twelve digits of the file's SHA-256. */
  readonly hash: string;
  /** Vectors that the token stands for, in each text encoder. */
  readonly vectors: readonly number[];
  /** The adapter in whose file it came, and with which it goes. */
  readonly adapter?: string;
}

/** A text encoder and the tokenizer that goes with it. */
export interface TextBranch {
  readonly tokenizer: CLIPTokenizer;
  readonly encoder: CLIPTextModel;
}

/** What a run reads and encodes its texts with: that stays as it is when embeddings come and go. */
export interface TextReader extends TextBranch {
  /** [rows, width]: the embeddings of the ids behind the vocabulary; undefined where there are none. */
  readonly added: Float32Array | undefined;
  readonly inversions: readonly TextualInversion[];
}

interface Loaded extends TextualInversion {
  /** Of each text encoder. */
  readonly rows: readonly EmbeddingRows[];
}

/**
 * The textual inversions of a model (Gal et al. 2022): tokens that stand for learned vectors. Their ids follow the
 * vocabulary in the order of loading; one of n vectors has n ids. As in diffusers, a token is found anywhere in a text,
 * in words too, and `token_1`, `token_2` ... are the single vectors behind the first. All pipelines over the same models
 * share them.
 */
export class TextualInversions {
  #loaded: readonly Loaded[] = [];
  /** Made when they are asked for, until something comes or goes. */
  #readers = new Map<CLIPTextModel, TextReader>();

  get list(): TextualInversion[] {
    return this.#loaded.map(({ rows: _, ...entry }) => entry);
  }

  /**
   * @param branches the model's text encoders, in their order.
   * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for a token that cannot be had, or is there;
   * ERR_DEEPCACHE_INVALID_WEIGHTS for vectors that other models have.
   */
  add(
    file: EmbeddingFile,
    given: string | undefined,
    branches: readonly TextBranch[],
    adapter?: string,
  ): TextualInversion {
    const rows = rowsFor(file, branches);
    const token = given ?? file.token;
    requireToken(token, given === undefined ? file.path : undefined);
    const vectors = rows.map((own) => own.vectors);
    for (const name of namesOf(token, Math.max(...vectors))) this.#requireFree(name, token, branches);
    const entry = {
      token,
      file: basename(file.path),
      hash: file.hash,
      vectors,
      ...(adapter !== undefined && { adapter }),
    };
    this.#set([...this.#loaded, { ...entry, rows }]);
    return entry;
  }

  /** @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT when there is none of the token. */
  remove(token?: string): void {
    const left = token === undefined ? [] : this.#loaded.filter((entry) => entry.token !== token);
    if (token !== undefined && left.length === this.#loaded.length) {
      const tokens = this.#loaded.map((entry) => show(entry.token)).join(', ');
      throw invalidArgument(
        'token',
        `${show(token)} is not loaded; ${tokens ? `there is ${tokens}` : 'none is'}`,
      );
    }
    this.#set(left);
  }

  /** Those that came with an adapter, all or none. */
  addOf(adapter: string, files: readonly EmbeddingFile[], branches: readonly TextBranch[]): void {
    const before = this.#loaded;
    try {
      for (const file of files) this.add(file, undefined, branches, adapter);
    } catch (error) {
      this.#set(before);
      throw error;
    }
  }

  /** Those that came with an adapter, or with any. */
  removeOf(adapter?: string): void {
    this.#set(
      this.#loaded.filter(
        (entry) => entry.adapter === undefined || (adapter !== undefined && entry.adapter !== adapter),
      ),
    );
  }

  /** What reads the texts of an encoder, the `index`th of the model. */
  readerOf({ tokenizer, encoder }: TextBranch, index: number): TextReader {
    const known = this.#readers.get(encoder);
    if (known) return known;
    const reader = { tokenizer, encoder, added: undefined, inversions: this.list };
    const made = this.#loaded.length === 0 ? reader : { ...reader, ...this.#extended(reader, index) };
    this.#readers.set(encoder, made);
    return made;
  }

  #extended({ tokenizer, encoder }: TextBranch, index: number): Pick<TextReader, 'tokenizer' | 'added'> {
    const tokens: AddedToken[] = [];
    const rows = this.#loaded.map((entry) => entry.rows[index] as EmbeddingRows);
    let next = encoder.vocabSize;
    for (const [i, { vectors }] of rows.entries()) {
      const { token, file } = this.#loaded[i] as Loaded;
      const ids = Array.from({ length: vectors }, () => next++);
      const add = (content: string, own: readonly number[]) =>
        tokens.push({ ...PLAIN, content, id: own[0] as number, ids: own, file });
      for (const [k, name] of namesOf(token, vectors).entries())
        add(name, k === 0 ? ids : ids.slice(k, k + 1));
    }
    const added = new Float32Array(rows.reduce((sum, { values }) => sum + values.length, 0));
    let at = 0;
    for (const { values } of rows) {
      added.set(values, at);
      at += values.length;
    }
    return { tokenizer: tokenizer.with(tokens), added };
  }

  #set(loaded: readonly Loaded[]): void {
    this.#loaded = loaded;
    this.#readers = new Map();
  }

  #requireFree(name: string, token: string, branches: readonly TextBranch[]): void {
    const other = this.#loaded.find((entry) =>
      namesOf(entry.token, Math.max(...entry.vectors)).includes(name),
    );
    const part = name === token ? '' : `, of which ${show(name)} is a part,`;
    if (other) {
      throw invalidArgument(
        'token',
        `${show(token)}${part} is taken by ${other.file}: unload that first, or give this one another token`,
      );
    }
    if (branches.some(({ tokenizer }) => tokenizer.hasToken(name))) {
      throw invalidArgument(
        'token',
        `${show(token)}${part} is a token of the model itself: give another one`,
      );
    }
  }
}

const PLAIN = { lstrip: false, rstrip: false, singleWord: false };

/** Names of the vectors of a token; the first stands for all of them. */
function namesOf(token: string, vectors: number): string[] {
  return Array.from({ length: vectors }, (_, i) => (i === 0 ? token : `${token}_${i}`));
}

function requireToken(token: unknown, file: string | undefined): asserts token is string {
  // Room for the numbers of the vectors.
  const longest = LONGEST_TOKEN - 8;
  const problem =
    typeof token !== 'string' || token.trim() === ''
      ? 'must be a text that stands for it in prompts'
      : /\s/.test(token)
        ? 'must be without spaces'
        : token.length > longest
          ? `must have at most ${longest} characters`
          : undefined;
  if (problem === undefined) return;
  const from = file === undefined ? '' : `: ${file} says so, give one yourself`;
  throw invalidArgument('token', `${problem}, got ${show(token)}${from}`);
}

/** The vectors of a file for each text encoder of a model. */
function rowsFor({ path, rows }: EmbeddingFile, branches: readonly TextBranch[]): EmbeddingRows[] {
  const widths = branches.map(({ encoder }) => encoder.width);
  // The refiner has the second of SDXL's encoders alone.
  const pair = 'clipL' in rows ? [rows.clipL, rows.clipG] : undefined;
  const given = 'clipL' in rows ? [rows.clipL, rows.clipG].slice(-branches.length) : [rows];
  const isFit = given.length === widths.length && given.every(({ width }, i) => width === widths[i]);
  if (isFit) return given;
  const have = pair
    ? `SDXL's two text encoders, of ${pair.map(({ width }) => width).join(' and ')}`
    : `a text encoder of ${given[0]?.width}`;
  const want = widths.length > 1 ? `has two, of ${widths.join(' and ')}` : `has one of ${widths[0]}`;
  throw new DeepCacheError(
    'ERR_DEEPCACHE_INVALID_WEIGHTS',
    `${path}: is for ${have}${familyOf(pair ? 0 : given[0]?.width)}; this model ${want}${familyOf(widths.length > 1 ? 0 : widths[0])}`,
  );
}

/** Who has text encoders of a width; 0 stands for two. */
function familyOf(width: number | undefined): string {
  const name =
    width === 768 ? 'SD 1.x' : width === 1024 ? 'SD 2.x' : width === 1280 ? "SDXL's refiner" : undefined;
  return name ? ` (as in ${name})` : '';
}
