// test/launches/kernels.tsv: registers and static shared memory of every kernel on the architectures of the GPUs that
// `npm run test:launches` plays.
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { nvccVersion } from './names.mjs';

export const ARCHITECTURES = ['80', '89', '90a', '120'];
const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const path = join(root, 'test', 'launches', 'kernels.tsv');

/**
 * {kernel: {architecture: [registers, static bytes]}}. A line has a kernel and a column "REGISTERS STATIC" for each
 * architecture; Hopper's kernels are empty in other code, and not recorded of it.
 */
export function recorded() {
  const [head, ...lines] = readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => line.split('\t'));
  const columns = head.slice(1);
  const of = (cells) =>
    columns.flatMap((code, i) => (cells[i] ? [[code, cells[i].split(' ').map(Number)]] : []));
  return Object.fromEntries(lines.map(([kernel, ...cells]) => [kernel, Object.fromEntries(of(cells))]));
}

/** Writes rows {kernel, architecture, registers, static}, and entries of recorded() that are `kept`. */
export function write(rows, kept) {
  const kernels = new Map(kept);
  for (const { kernel, architecture, registers, static: bytes } of rows)
    kernels.set(kernel, { ...kernels.get(kernel), [architecture]: [registers, bytes] });
  const lines = [...kernels]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, of]) => [name, ...ARCHITECTURES.map((code) => of[code]?.join(' ') ?? '')]);
  const head = [`nvcc ${nvccVersion()}`, ...ARCHITECTURES];
  writeFileSync(path, [head, ...lines].map((cells) => `${cells.join('\t')}\n`).join(''));
}
