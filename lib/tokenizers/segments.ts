/** Characters of a segment: from the first number on it ends where it may, and no later than at the second. */
const LEAST = 512;
const MOST = 2048;

// What does not join with what is before it when accents are composed, nor changes its lower case: letters and digits
// but for sigma, and vowels and last consonants of Korean.
const WHOLE = /^(?![\u03a3\u1160-\u11ff\ud7b0-\ud7ff])[\p{Ll}\p{Lu}\p{Lo}\p{N}]$/u;

/** Where a text may be cut, the best first: behind white space, else between letters. */
const BORDERS: readonly ((before: string, after: string) => boolean)[] = [
  (before) => /\s/.test(before),
  (before, after) => WHOLE.test(before) && WHOLE.test(after),
];

/**
 * Cuts a text of any length into parts that a tokenizer reads each for itself, so that neither a million words nor a
 * word of a million letters takes long at a stretch. Words are whole unless they have thousands of letters.
 */
export function* segmentsOf(text: string): Iterable<string> {
  let start = 0;
  while (text.length - start > MOST) {
    const end = endOf(text, start);
    yield text.slice(start, end);
    start = end;
  }
  yield text.slice(start);
}

function endOf(text: string, start: number): number {
  for (const isBorder of BORDERS) {
    for (let at = start + LEAST; at < start + MOST; at++) {
      if (isBorder(text[at - 1] as string, text[at] as string)) return at;
    }
  }
  // Soon: to compose marks without letters takes time with the square of their number. Halves of a character stay
  // together.
  const end = start + LEAST;
  return /[\udc00-\udfff]/.test(text[end] as string) ? end - 1 : end;
}
