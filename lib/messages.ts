/**
 * A text for a message: what others wrote may be megabytes long. The beginning, and how much there is.
 *
 * @param most characters that are kept.
 */
export function shorten(text: string, most = 200): string {
  if (text.length <= most) return text;
  // Half of a character of two parts is none.
  const kept = text.slice(0, most).replace(/[\ud800-\udbff]$/, '');
  return `${kept}… (${text.length} characters)`;
}

/** A value for a message. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(shorten(value));
  if (Array.isArray(value)) {
    // Not its own methods: it may be anything.
    const items = Array.from({ length: Math.min(10, value.length) }, (_, i) =>
      Array.isArray(value[i]) ? '[…]' : show(value[i]),
    );
    return shorten(`[${items.join(', ')}]`);
  }
  // An object without a prototype has no text.
  return typeof value === 'object' && value !== null
    ? Object.prototype.toString.call(value)
    : shorten(String(value));
}

/** Most remarks of a kind that are made one by one. */
const MOST = 20;

/** A remark about each of the values, or about the first of very many and how many more there are. */
export function remarks<T>(values: readonly T[], remark: (value: T) => string, rest: string): string[] {
  const texts = values.slice(0, MOST).map(remark);
  const more = values.length - texts.length;
  return more > 0 ? [...texts, `${more} more ${rest}`] : texts;
}
