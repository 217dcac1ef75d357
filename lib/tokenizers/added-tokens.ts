/**
 * A token that is cut out of texts before they become words: what a vocabulary was extended with (textual inversion,
 * DreamBooth), and the special tokens. `normalized` and `special` of transformers' AddedToken change nothing in CLIP's
 * slow tokenizer.
 */
export interface AddedToken {
  content: string;
  id: number;
  /** Where it stands for several: all of them, beginning with `id`. */
  ids?: readonly number[];
  /** The space before it, or after it, is part of it. */
  lstrip: boolean;
  rstrip: boolean;
  /** Only between spaces, or at an end of the text. */
  singleWord: boolean;
  /** The file that names it, for messages. */
  file: string;
}

/** Characters of the longest token. */
export const LONGEST_TOKEN = 128;

/** Places that are looked at, and characters that are searched, between pauses. */
const PAUSE = 256;
const STRETCH = 2 ** 15;

/** A part of a text: an added token, or what lies between two. */
export interface TextPart {
  text: string;
  token: AddedToken | undefined;
}

type Trie = Map<string, Trie> & { token?: AddedToken };

/** Finds added tokens in texts, in time that does not grow with their number. */
export class AddedTokenSplitter {
  readonly #tokens: ReadonlyMap<string, AddedToken>;
  readonly #trie: Trie = new Map();
  /** Where a token can begin: for most texts nowhere, which a pattern finds soonest. */
  readonly #first: RegExp;

  constructor(tokens: Iterable<AddedToken>) {
    this.#tokens = new Map(Array.from(tokens, (token) => [token.content, token]));
    for (const token of this.#tokens.values()) {
      let node = this.#trie;
      for (let i = 0; i < token.content.length; i++) {
        const character = token.content[i] as string;
        let next = node.get(character);
        if (!next) {
          next = new Map();
          node.set(character, next);
        }
        node = next;
      }
      node.token = token;
    }
    const firsts = Array.from(this.#trie.keys(), (character) => `\\u${hex(character)}`);
    this.#first = new RegExp(`[${firsts.join('')}]`, 'g');
  }

  /**
   * A text's parts in order, without empty ones: added tokens, and what lies between them (transformers:
   * PreTrainedTokenizer.tokenize). Of tokens that begin at the same place the longest is taken. Undefined now and then,
   * where a long text holds little: to pause at.
   */
  *split(text: string): Iterable<TextPart | undefined> {
    const part = (text: string) => ({ text, token: this.#tokens.get(text) });
    let [left, here] = ['', ''];
    const settle = (right: string): string => {
      const token = this.#tokens.get(here);
      if (!token) return right;
      // transformers looks at the neighbours as they were before stripping.
      const before = left;
      if (token.lstrip) left = left.trimEnd();
      const rest = token.rstrip ? right.trimStart() : right;
      if (!token.singleWord) return rest;
      if (before && !before.endsWith(' ')) left += token.content;
      else if (!right || right.startsWith(' ')) return rest;
      here = '';
      return left === before || !before ? token.content + rest : rest;
    };
    for (const cut of this.#cut(text)) {
      if (cut === undefined) {
        yield undefined;
        continue;
      }
      const right = settle(cut);
      if (left) yield part(left);
      [left, here] = [here, right];
    }
    settle('');
    for (const last of [left, here]) if (last) yield part(last);
  }

  /** The text cut before and after each token; undefined to pause at. */
  *#cut(text: string): Iterable<string | undefined> {
    let end = 0;
    for (const at of this.#places(text)) {
      if (at === undefined) {
        yield undefined;
        continue;
      }
      const length = at < end ? 0 : this.#longestAt(text, at);
      if (length === 0) continue;
      if (at > end) yield text.slice(end, at);
      end = at + length;
      yield text.slice(at, end);
    }
    if (end < text.length) yield text.slice(end);
  }

  /** Where tokens may begin; undefined to pause at. */
  *#places(text: string): Iterable<number | undefined> {
    let looked = 0;
    for (let start = 0; start < text.length; start += STRETCH) {
      if (start > 0) yield undefined;
      for (const { index } of text.slice(start, start + STRETCH).matchAll(this.#first)) {
        if (++looked % PAUSE === 0) yield undefined;
        yield start + index;
      }
    }
  }

  #longestAt(text: string, index: number): number {
    let longest = 0;
    let node: Trie | undefined = this.#trie;
    for (let i = index; node; i++) {
      if (node.token) longest = i - index;
      node = i < text.length ? node.get(text[i] as string) : undefined;
    }
    return longest;
  }
}

function hex(character: string): string {
  return character.charCodeAt(0).toString(16).padStart(4, '0');
}
