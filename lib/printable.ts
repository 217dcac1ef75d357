// Controls of both sets, formats (direction marks, zero-width ones), line separators and lone halves of pairs, and
// letters that have no shape. A tab and a line feed do no harm.
const OBEYED = /[^\P{C}\n\t\p{Co}\p{Cn}]|\u034f|[\p{Zl}\p{Zp}\u115f\u1160\u2800\u3164\uffa0]/gu;

/**
 * Text that a terminal shows and does not obey: characters that move the cursor, change colours or direction, or cannot
 * be seen become `\u` escapes. They are those of JSON, so that JSON means the same as before.
 */
export function printable(text: string): string {
  return text.replace(OBEYED, (character) =>
    Array.from({ length: character.length }, (_, i) => escaped(character.charCodeAt(i))).join(''),
  );
}

/** The same on one line, for names and messages that must not look like lines of their own. */
export function oneLine(text: string): string {
  return printable(text.replace(/\s*\n\s*/g, ' '));
}

function escaped(unit: number): string {
  return `\\u${unit.toString(16).padStart(4, '0')}`;
}
