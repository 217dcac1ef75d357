/** Texts stored in an image file by name, for example `{ parameters: '{"prompt":"a cat","seed":42}' }`. */
export type ImageMetadata = Record<string, string>;

/** What PNG allows as a keyword: 1 to 79 printable characters of Latin-1, spaces between words only. */
export function isPngKeyword(keyword: string): boolean {
  return /^(?! )[ -~\xa1-\xff]{1,79}(?<! )$/.test(keyword) && !keyword.includes('  ');
}
