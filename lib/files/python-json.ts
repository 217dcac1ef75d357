/** Real configurations have a handful; what prints or compares values calls itself for each level. */
export const MOST_LEVELS = 64;

/** JSON, but more of it than is read: the message says what. */
export class TooMuchJson extends SyntaxError {}

const NOT_JSON: Readonly<Record<string, string>> = { Infinity: '1e999', '-Infinity': '-1e999', NaN: 'null' };

const TOKEN = /["[\]{}]|-?\bInfinity\b|\bNaN\b/g;

/**
 * Parses JSON as Python writes it: `Infinity` and `-Infinity` become numbers, `NaN` becomes null. Scheduler
 * configurations of the DPM-Solver family contain `"lambda_min_clipped": -Infinity`, which JSON.parse refuses.
 * Throws a SyntaxError, as JSON.parse does, also for more than 64 levels of lists and objects.
 */
export function parsePythonJson(text: string): unknown {
  const parts: string[] = [];
  let copied = 0;
  let level = 0;
  const token = new RegExp(TOKEN);
  for (let match = token.exec(text); match; match = token.exec(text)) {
    const [found] = match;
    if (found === '"') token.lastIndex = endOfString(text, token.lastIndex);
    else if (found === '[' || found === '{') level++;
    else if (found === ']' || found === '}') level--;
    else {
      parts.push(text.slice(copied, match.index), NOT_JSON[found] as string);
      copied = token.lastIndex;
    }
    if (level > MOST_LEVELS) throw new TooMuchJson(`more than ${MOST_LEVELS} levels of lists and objects`);
  }
  return JSON.parse(copied === 0 ? text : parts.join('') + text.slice(copied));
}

/** The place behind a string's closing quote. A loop: patterns keep a note of every character that they pass. */
function endOfString(text: string, start: number): number {
  for (let i = start; i < text.length; i++) {
    const character = text[i];
    if (character === '\\') i++;
    else if (character === '"') return i + 1;
  }
  return text.length;
}
