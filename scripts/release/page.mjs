// Tables of docs/install.md that the release scripts write, each between <!-- NAME --> and <!-- end -->.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './platforms.mjs';

const PAGE = join(root, 'docs/install.md');

const section = (name) => new RegExp(`(?<=<!-- ${name} -->\n)[\\s\\S]*?(?=<!-- end -->)`);

/** Its rows now, each a list of cells. */
export function readTable(name) {
  const lines = section(name).exec(readFileSync(PAGE, 'utf8'))?.[0].trim().split('\n').slice(2) ?? [];
  return lines.map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

export function writeTable(name, head, rows) {
  const lines = [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |\n`);
  writeFileSync(PAGE, readFileSync(PAGE, 'utf8').replace(section(name), lines.join('')));
}
