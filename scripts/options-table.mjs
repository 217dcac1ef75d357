// The tables of options in the documents, made from the specification of options in the built checkout (npm run build:ts).
//
//   node scripts/options-table.mjs   (npm run docs:options) writes them
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const DOCUMENTS = ['README.md', 'docs/options.md'];

/** A document with its tables as they should be: each stands between <!-- options: NAME --> and <!-- end --> */
async function withTables(document) {
  const { shortTable, longTable, loadTable } = await import(
    pathToFileURL(join(root, 'dist/lib/options/table.js')).href
  );
  const tables = { short: shortTable, long: longTable, load: loadTable };
  let found = 0;
  const text = readFileSync(join(root, document), 'utf8');
  const written = text.replace(
    /(<!-- options: (\w+) -->\n)[\s\S]*?(\n<!-- end -->)/g,
    (_, begin, name, end) => {
      found++;
      return `${begin}${tables[name]()}${end}`;
    },
  );
  if (found === 0) throw new Error(`${document} has no table of options`);
  return { text, written };
}

/** Documents whose tables are not those of the specification. */
export async function staleTables() {
  const stale = [];
  for (const document of DOCUMENTS) {
    const { text, written } = await withTables(document);
    if (text !== written) stale.push(document);
  }
  return stale;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const document of DOCUMENTS) writeFileSync(join(root, document), (await withTables(document)).written);
}
