import type { Image } from '../images/image.js';
import { Canvas, type Color, charactersIn, LINE, wrapText } from './canvas.js';
import type { ComparedPictures, ComparedRun } from './compared-run.js';
import { differenceText, seconds, speedupText, steps } from './figures.js';

const PAPER: Color = [255, 255, 255];
const INK: Color = [24, 24, 27];
const PALE: Color = [98, 98, 106];

/** Smaller pictures are enlarged by whole factors, so that a caption fits below them. */
const MIN_COLUMN = 250;
/** Columns from this width on get captions of twice the size. */
const WIDE_COLUMN = 480;
const TITLE_LINES = 3;
const NAME_LINES = 2;

/** A row for each image, a column for each run; below every picture what it differs by. */
export function comparisonPicture({ reference, runs, titles, seeds }: ComparedPictures): Image {
  const { width, height } = reference.image;
  const zoom = Math.max(1, Math.ceil(MIN_COLUMN / width));
  const column = width * zoom;
  const size = Math.max(1, Math.floor(column / (WIDE_COLUMN / 2)));
  const line = LINE * size;
  const gap = 2 * line;

  const columns = [reference, ...runs];
  const fit = charactersIn(column, size);
  const total = columns.length * (column + gap) + gap;
  const names = columns.map(({ name }) => wrapText(name, fit, NAME_LINES));
  const nameLines = Math.max(...names.map((lines) => lines.length));
  const heads = columns.map((run, i) => [
    ...Array.from({ length: nameLines }, (_, k) => names[i]?.[k] ?? ''),
    `${seconds(run.stats.times.denoise)}, ${speedupText(run)}`,
    steps(run),
  ]);
  const seedText = (i: number) => `seed ${seeds[seeds.length === 1 ? 0 : i]}`;
  const rows = titles.map((title, i) =>
    wrapText(`${title}, ${seedText(i)}`, charactersIn(total - 2 * gap, size), TITLE_LINES),
  );

  const headHeight = (nameLines + 2) * line;
  const cell = height * zoom + line / 2 + line;
  const tall = rows.reduce(
    (sum, lines) => sum + lines.length * line + line / 2 + cell + gap,
    gap + headHeight + line,
  );
  const canvas = new Canvas(total, Math.ceil(tall), PAPER);
  const left = (i: number) => gap + i * (column + gap);

  heads.forEach((lines, i) => {
    lines.forEach((text, k) => {
      canvas.text(text, left(i), gap + k * line, size, k < nameLines ? INK : PALE);
    });
  });
  let top = gap + headHeight + line;
  rows.forEach((lines, row) => {
    for (const text of lines) {
      canvas.text(text, gap, top, size, INK);
      top += line;
    }
    top += Math.round(line / 2);
    columns.forEach((run, i) => {
      canvas.draw(run.images[row] as Image, left(i), top, zoom);
      canvas.text(caption(run, row, i), left(i), top + height * zoom + Math.round(line / 2), size, PALE);
    });
    top += Math.floor(cell) + gap;
  });
  return canvas.image;
}

function caption({ differences }: ComparedRun, row: number, column: number): string {
  const difference = differences[row];
  return column === 0 || !difference ? 'reference' : differenceText(difference);
}
