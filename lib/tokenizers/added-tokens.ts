/**
 * A token that is cut out of texts before they become words: what a vocabulary was extended with (textual inversion,
 * DreamBooth), and the special tokens. `normalized` and `special` of transformers' AddedToken change nothing in CLIP's
 * slow tokenizer.
 */
export interface AddedToken {
  content: string;
  id: number;
  /** The space before it, or after it, is part of it. */
  lstrip: boolean;
  rstrip: boolean;
  /** Only between spaces, or at an end of the text. */
  singleWord: boolean;
  /** The file that names it, for messages. */
  file: string;
}

type Trie = Map<string, Trie> & { token?: AddedToken };

/** Finds added tokens in texts, in time that does not grow with their number. */
export class AddedTokenSplitter {
  readonly #tokens: ReadonlyMap<string, AddedToken>;
  readonly #trie: Trie = new Map();
  /** Where a token can begin: for most texts nowhere, which a pattern tells soonest. */
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
   * PreTrainedTokenizer.tokenize). Of tokens that begin at the same place the longest is taken.
   */
  split(text: string): { text: string; token: AddedToken | undefined }[] {
    const parts = this.#cut(text);
    for (let i = 0; i < parts.length; i++) {
      const token = this.#tokens.get(parts[i] as string);
      if (!token) continue;
      const [left, right] = [parts[i - 1], parts[i + 1]];
      if (token.rstrip && right) parts[i + 1] = right.trimStart();
      if (token.lstrip && left) parts[i - 1] = left.trimEnd();
      // transformers looks at the neighbours as they were before stripping.
      if (token.singleWord && left && !left.endsWith(' ')) {
        parts[i - 1] += token.content;
        parts[i] = '';
      } else if (token.singleWord && right && !right.startsWith(' ')) {
        parts[i + 1] = token.content + parts[i + 1];
        parts[i] = '';
      }
    }
    return parts.filter(Boolean).map((part) => ({ text: part, token: this.#tokens.get(part) }));
  }

  /** The text cut before and after each token. */
  #cut(text: string): string[] {
    const parts: string[] = [];
    let end = 0;
    this.#first.lastIndex = 0;
    for (let at = this.#first.exec(text); at; at = this.#first.exec(text)) {
      const length = this.#longestAt(text, at.index);
      if (length === 0) continue;
      if (at.index > end) parts.push(text.slice(end, at.index));
      end = at.index + length;
      parts.push(text.slice(at.index, end));
      this.#first.lastIndex = end;
    }
    if (end < text.length) parts.push(text.slice(end));
    return parts;
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
