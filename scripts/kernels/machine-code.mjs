// What ptxas made of the main kernels, counted from their machine code: a stand-in for a profiler where there is no GPU.
//
//   node scripts/kernels/machine-code.mjs [--check] [--renew] [--markdown FILE] FILE...
//
// FILEs are cubins, or objects and libraries of a build whose device code is not compressed (all but `release`). --check
// fails when a main kernel is worse than test/kernels/machine-code.json records: by more than 5 % where instructions are counted,
// at all where local memory, divisions in loops over k, or products run one by one are. Only the latter is looked at in
// kernels that are not recorded, and when nvcc is not the recorded one. --renew writes the file; what it has of kernels whose names
// are in none of the FILEs stays.
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { kernelsIn } from './cubin.mjs';
import { demangle, MAIN, nvccVersion, shorten } from './names.mjs';
import { decode, loopsOf } from './sass.mjs';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const EMPTY = 16; // instructions
const RECORD = join(root, 'test', 'kernels', 'machine-code.json');

/** All of them are better small. */
const COLUMNS = {
  registers: 'of a thread, at its launch',
  local: 'accesses of local memory (spills, arrays without fixed indices)',
  instructions: 'in all',
  divisions: 'of integers',
  producer: 'instructions of the loop that starts bulk copies',
  producer_divisions: 'divisions in it',
  products: 'instructions of the loop of products',
  product_waits: 'waits for products in it: more than there are groups of products means one by one',
  tile: 'instructions of a tile outside of its loop over k, cold ones included: prologue and epilogue',
  late_exponentials: 'in the loop of attention, behind its last wait for products: no product runs meanwhile',
};

/** What must never get worse, and is so much for kernels that are not recorded. */
const STRICT = { local: 0, producer_divisions: 0, product_waits: 2 };
const SLACK = 1.05; // of the rest

function count(instructions, indices, name) {
  return indices.reduce((sum, i) => sum + (instructions[i].name === name ? 1 : 0), 0);
}

/** The loop with most of an instruction; of several the shortest. */
function loopOf(loops, instructions, name) {
  const sized = loops.map((loop) => ({ loop, most: count(instructions, loop, name) }));
  sized.sort((a, b) => b.most - a.most || a.loop.length - b.loop.length);
  return sized[0]?.most > 0 ? sized[0].loop : undefined;
}

/** The shortest loop with an instruction. */
function innermost(loops, instructions, name) {
  const having = loops.filter((loop) => count(instructions, loop, name) > 0);
  return having.sort((a, b) => a.length - b.length)[0];
}

function measure(kernel) {
  const instructions = decode(kernel.code, kernel.architecture);
  const all = instructions.map((_, i) => i);
  const of = (indices, ...names) => names.reduce((sum, name) => sum + count(instructions, indices, name), 0);
  const loops = loopsOf(instructions);
  const row = {
    registers: kernel.registers,
    local: of(all, 'LDL', 'STL'),
    instructions: instructions.length,
    divisions: of(all, 'I2F.RP'),
  };
  const copies = loopOf(loops, instructions, 'UTMALDG');
  if (copies) {
    row.producer = copies.length;
    row.producer_divisions = of(copies, 'I2F.RP');
  }
  const kind = ['HGMMA', 'QGMMA', 'HMMA'].find((name) => of(all, name) > 0);
  const products = kind && (kind === 'HMMA' ? loopOf : innermost)(loops, instructions, kind);
  if (!products) return row;
  row.products = products.length;
  const waits = products.filter((i) => /^WAIT/.test(instructions[i].name));
  if (kind !== 'HMMA') row.product_waits = waits.length;
  const outer = loops
    .filter((loop) => loop.length > products.length && loop.includes(products[0]))
    .sort((a, b) => a.length - b.length)[0];
  if (outer) row.tile = outer.length - products.length;
  if (of(products, 'HGMMA') > 0 && of(products, 'MUFU.EX2') > 0)
    row.late_exponentials = of(
      products.filter((i) => i > waits.at(-1)),
      'MUFU.EX2',
    );
  return row;
}

function measureAll(files) {
  const kernels = files.flatMap((file) => kernelsIn(readFileSync(file)));
  const names = demangle(kernels.map(({ name }) => name)).map(shorten);
  const rows = kernels
    .map((kernel, i) => [`${names[i]} sm_${kernel.architecture}`, kernel])
    .filter(([name]) => MAIN.test(name))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, kernel]) => [name, measure(kernel)])
    // Kernels of one architecture are empty in the code of others.
    .filter(([, row]) => row.instructions > EMPTY);
  return Object.fromEntries(rows);
}

function markdown(rows) {
  const columns = Object.keys(COLUMNS);
  const lines = Object.entries(rows).map(
    ([name, row]) => `| ${[name, ...columns.map((column) => row[column] ?? '')].join(' | ')} |`,
  );
  return [
    `| kernel | ${columns.map((column) => column.replaceAll('_', ' ')).join(' | ')} |`,
    `|---|${columns.map(() => '---').join('|')}|`,
    ...lines,
    '',
  ].join('\n');
}

/** What of `now` is worse than `then`. */
function worse(name, now, then, sameCompiler) {
  return Object.keys(COLUMNS)
    .filter((column) => STRICT[column] !== undefined || (then && sameCompiler))
    .map((column) => [column, then?.[column] ?? STRICT[column] ?? 0])
    .filter(([column, most]) => (now[column] ?? 0) > (STRICT[column] !== undefined ? most : most * SLACK))
    .map(([column, most]) => `${name}: ${column} ${most} -> ${now[column]} (${COLUMNS[column]})`);
}

const { values: options, positionals: files } = parseArgs({
  options: { check: { type: 'boolean' }, renew: { type: 'boolean' }, markdown: { type: 'string' } },
  allowPositionals: true,
});
const rows = measureAll(files);
if (Object.keys(rows).length === 0) {
  console.error('no main kernel in these files: is their device code compressed?');
  process.exit(2);
}
const table = markdown(rows);
if (options.markdown) writeFileSync(options.markdown, table);
if (!options.check) console.log(table);
const nvcc = nvccVersion();
if (options.renew) {
  const template = (name) => name.replace(/<.*/, '');
  const renewed = new Set(Object.keys(rows).map(template));
  const kept = Object.entries(JSON.parse(readFileSync(RECORD, 'utf8')).kernels).filter(
    ([name]) => !renewed.has(template(name)),
  );
  const all = [...kept, ...Object.entries(rows)].sort(([a], [b]) => (a < b ? -1 : 1));
  const lines = all.map(([name, row]) => `  ${JSON.stringify(name)}: ${JSON.stringify(row)}`);
  writeFileSync(RECORD, `{\n "nvcc": ${JSON.stringify(nvcc)},\n "kernels": {\n${lines.join(',\n')}\n }\n}\n`);
}
if (options.check) {
  const record = JSON.parse(readFileSync(RECORD, 'utf8'));
  const found = Object.entries(rows).flatMap(([name, row]) =>
    worse(name, row, record.kernels[name], record.nvcc === nvcc),
  );
  for (const line of found) console.error(line);
  console.log(`${Object.keys(rows).length} main kernels, ${found.length} counts worse than recorded`);
  process.exit(found.length > 0 ? 1 : 0);
}
