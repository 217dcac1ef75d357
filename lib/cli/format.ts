import { oneLine } from '../printable.js';

/** Bytes in the unit that makes a short number: '1.7 GB'. Units of 1000, as file managers and disks count. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let unit = 0;
  let value = bytes;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit > 0 && value < 10 ? value.toFixed(1) : value.toFixed(0)} ${units[unit]}`;
}

/** A count of parameters: '859.5 M'. */
export function formatCount(count: number): string {
  if (count >= 1e9) return `${(count / 1e9).toFixed(2)} G`;
  if (count >= 1e6) return `${(count / 1e6).toFixed(1)} M`;
  return count >= 1e4 ? `${(count / 1e3).toFixed(1)} k` : String(count);
}

/** Seconds for people: '0.42 s', '12.3 s', '2:05 min', '1:02:03 h'. */
export function formatSeconds(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(2)} s`;
  if (seconds < 100) return `${seconds.toFixed(1)} s`;
  const two = (value: number) => String(value).padStart(2, '0');
  const whole = Math.round(seconds);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)} h` : `${minutes}:${two(rest)} min`;
}

/** Rows of cells as aligned lines: the first column to the left, numbers (all cells that start with one) right. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  // A name must not look like rows of its own.
  const lines = rows.map((row) => row.map(oneLine));
  for (const row of lines) {
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, cell.length);
    });
  }
  // A column is one of numbers when all below its title start with a digit.
  const isNumeric = widths.map((_, i) => lines.slice(1).every((row) => /^[-\d]|^$/.test(row[i] ?? '')));
  const line = (row: readonly string[]) =>
    row
      .map((cell, i) =>
        isNumeric[i] ? cell.padStart(widths[i] as number) : cell.padEnd(widths[i] as number),
      )
      .join('  ')
      .trimEnd();
  return `${lines.map(line).join('\n')}\n`;
}

/** The same rows as a table in Markdown. */
export function formatMarkdown(rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  const [titles = [], ...rest] = rows;
  return `${[line(titles), line(titles.map((_, i) => (i === 0 ? '---' : '--:'))), ...rest.map(line)].join('\n')}\n`;
}
