import { Image } from '../images/image.js';
import { GLYPH_HEIGHT, GLYPH_WIDTH, glyphRows, toGlyphs } from './font.js';

/** Red, green and blue from 0 to 255. */
export type Color = readonly [number, number, number];

/** Pixels from one character, or line, to the next in a text of size 1. */
const ADVANCE = GLYPH_WIDTH + 1;
export const LINE = GLYPH_HEIGHT + 3;

/** An image to draw on. */
export class Canvas {
  readonly image: Image;

  constructor(width: number, height: number, background: Color) {
    const data = new Uint8Array(width * height * 3);
    for (let i = 0; i < data.length; i++) data[i] = background[i % 3] as number;
    this.image = new Image({ width, height, data });
  }

  /** Puts an image there, each of its pixels as `scale` x `scale` ones. */
  draw({ width, height, data }: Image, left: number, top: number, scale: number): void {
    for (let y = 0; y < height * scale; y++) {
      for (let x = 0; x < width * scale; x++) {
        const from = (Math.floor(y / scale) * width + Math.floor(x / scale)) * 3;
        this.#set(left + x, top + y, data.subarray(from, from + 3));
      }
    }
  }

  /** Writes one line; `size` is the pixels of a font's pixel. What does not fit is cut off. */
  text(text: string, left: number, top: number, size: number, color: Color): void {
    toGlyphs(text).forEach((character, i) => {
      glyphRows(character).forEach((row, y) => {
        for (let x = 0; x < GLYPH_WIDTH; x++) {
          if (!((row >> (GLYPH_WIDTH - 1 - x)) & 1)) continue;
          this.#fill(left + (i * ADVANCE + x) * size, top + y * size, size, color);
        }
      });
    });
  }

  #fill(left: number, top: number, size: number, color: Color): void {
    for (let y = top; y < top + size; y++) {
      for (let x = left; x < left + size; x++) this.#set(x, y, color);
    }
  }

  #set(x: number, y: number, color: ArrayLike<number>): void {
    const { width, height, data } = this.image;
    if (x < 0 || y < 0 || x >= width || y >= height) return;
    data.set(color, (y * width + x) * 3);
  }
}

/** How many characters of a size fit into so many pixels. */
export function charactersIn(width: number, size: number): number {
  // The last one needs no gap behind it.
  return Math.floor((width / size + ADVANCE - GLYPH_WIDTH) / ADVANCE);
}

/** Breaks a text between words into lines of at most `columns` characters, and cuts off what `lines` cannot hold. */
export function wrapText(text: string, columns: number, lines: number): string[] {
  const out: string[] = [];
  let line = '';
  for (const word of toGlyphs(text).join('').split(' ')) {
    // A word longer than a line is broken where the line ends.
    for (let rest = word; rest.length > 0; ) {
      const room = columns - (line ? line.length + 1 : 0);
      if (rest.length <= room || (line === '' && room > 0)) {
        const part = rest.slice(0, room);
        line = line ? `${line} ${part}` : part;
        rest = rest.slice(part.length);
      } else {
        out.push(line);
        line = '';
      }
    }
  }
  if (line) out.push(line);
  const last = out[lines - 1];
  if (out.length <= lines || last === undefined) return out;
  return [...out.slice(0, lines - 1), `${last.slice(0, columns - 1)}…`];
}
