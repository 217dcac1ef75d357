/** Formats that pictures are read in. Drawings (SVG, PDF) are programs rather than pictures, and are not. */
export type PictureFormat = 'png' | 'jpeg' | 'webp' | 'gif' | 'tiff' | 'avif';

/** The beginning of each format's files: text in Latin-1, and how many bytes stand before it. */
const MAGIC: readonly (readonly [PictureFormat, string, number])[] = [
  ['png', '\x89PNG\r\n\x1a\n', 0],
  ['jpeg', '\xff\xd8\xff', 0],
  ['webp', 'WEBP', 8],
  ['gif', 'GIF87a', 0],
  ['gif', 'GIF89a', 0],
  ['tiff', 'II*\0', 0],
  ['tiff', 'MM\0*', 0],
  ['tiff', 'II+\0', 0],
  ['tiff', 'MM\0+', 0],
  ['avif', 'ftypavif', 4],
  ['avif', 'ftypavis', 4],
  ['avif', 'ftypmif1', 4],
];

/** How many bytes {@link formatOf} looks at. */
export const MAGIC_BYTES = 12;

/** What the first bytes say that a file is; undefined when it is none of the formats. */
export function formatOf(bytes: Uint8Array): PictureFormat | undefined {
  const start = Buffer.from(bytes.subarray(0, MAGIC_BYTES)).toString('latin1');
  return MAGIC.find(([, text, at]) => start.startsWith(text, at))?.[0];
}
