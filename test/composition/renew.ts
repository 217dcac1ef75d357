// The tables of docs/composition.md, made anew: npm run docs:composition
import { readFileSync, writeFileSync } from 'node:fs';
import { composeTables } from './table.js';

const FILE = 'docs/composition.md';
const { markdown, faults } = await composeTables();
const [head] = readFileSync(FILE, 'utf8').split(/^## /m);
writeFileSync(FILE, `${head}${markdown}`);
for (const fault of faults) console.error(fault);
process.exitCode = faults.length > 0 ? 1 : 0;
