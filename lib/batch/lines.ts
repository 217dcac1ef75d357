import { invalidArgument } from '../errors.js';

/** A line of a file that may be of any length: only lines are held in memory. */
export interface Line {
  /** From 1; empty lines count. */
  readonly number: number;
  readonly text: string;
}

/** Bytes of a line: a prompt and its options are far fewer. */
const MOST = 1 << 20;

/**
 * The lines of a text in UTF-8 that are not empty, as they come.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for a line that is too long.
 */
export async function* linesOf(source: AsyncIterable<Uint8Array>): AsyncGenerator<Line, void, void> {
  const decoder = new TextDecoder();
  let rest = '';
  let number = 0;
  const line = (text: string): Line => ({ number: ++number, text: text.replace(/^\ufeff/, '').trim() });
  for await (const part of source) {
    rest += decoder.decode(part, { stream: true });
    const lines = rest.split('\n');
    rest = lines.pop() as string;
    for (const text of lines) {
      const one = line(text);
      if (one.text !== '') yield one;
    }
    if (rest.length > MOST)
      throw invalidArgument('jobs', `have a line ${number + 1} of more than ${MOST} bytes`);
  }
  const last = line(rest + decoder.decode());
  if (last.text !== '') yield last;
}

/** How many lines that are not empty there are. */
export async function countLines(source: AsyncIterable<Uint8Array>): Promise<number> {
  let count = 0;
  for await (const _ of linesOf(source)) count++;
  return count;
}
