// The structure of the TypeScript sources: no import circle, few floors, short files.
//
//   node scripts/check-structure.mjs
//
// A file's floor is one above the highest of those files of its folder that it imports, types included.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Floors that a folder may have. */
const FLOORS = { 'lib/pipelines': 7 };
const MOST_LINES = 300;
/** Files that are one long list each, and how long they may be. */
const LONGER = { 'lib/native/types.ts': 620 };

/** All TypeScript files below a folder: {path: text}. */
export function sources(folder, base = root) {
  const names = readdirSync(join(base, folder), { recursive: true, encoding: 'utf8' });
  return Object.fromEntries(
    names
      .filter((name) => name.endsWith('.ts'))
      .map((name) => join(folder, name))
      .map((path) => [path, readFileSync(join(base, path), 'utf8')]),
  );
}

/** What each of the files imports of the others. */
export function importsOf(files) {
  return Object.fromEntries(
    Object.entries(files).map(([path, text]) => {
      const targets = [
        ...text.matchAll(
          /(?:^|\n)(?:import|export)\b[^;]*?from '(\.[^']+)'|\bimport\('(\.[^']+)'\)|(?:^|\n)import '(\.[^']+)'/g,
        ),
      ]
        .map((match) =>
          normalize(join(dirname(path), match[1] ?? match[2] ?? match[3])).replace(/\.js$/, '.ts'),
        )
        .filter((target) => Object.hasOwn(files, target));
      return [path, [...new Set(targets)]];
    }),
  );
}

/** A circle of imports as a list of files that ends where it began; undefined when there is none. */
export function findCircle(imports) {
  const state = new Map();
  const visit = (path, way) => {
    if (state.get(path) === 'done') return undefined;
    const at = way.indexOf(path);
    if (at >= 0) return [...way.slice(at), path];
    for (const target of imports[path]) {
      const circle = visit(target, [...way, path]);
      if (circle) return circle;
    }
    state.set(path, 'done');
    return undefined;
  };
  for (const path of Object.keys(imports)) {
    const circle = visit(path, []);
    if (circle) return circle;
  }
  return undefined;
}

/** The longest way down from each file: what it imports, to a file that imports none of the others. */
export function longestWays(imports) {
  const ways = new Map();
  const wayOf = (path) => {
    if (!ways.has(path)) {
      const below = imports[path].map(wayOf).sort((a, b) => b.length - a.length)[0] ?? [];
      ways.set(path, [path, ...below]);
    }
    return ways.get(path);
  };
  return Object.keys(imports).map(wayOf);
}

/** What is wrong with the structure, as sentences. */
export function problems(base = root) {
  const found = [];
  const files = sources('lib', base);
  const circle = findCircle(importsOf(files));
  if (circle) return [`import circle: ${circle.join(' -> ')}`];
  for (const [folder, most] of Object.entries(FLOORS)) {
    const own = Object.fromEntries(Object.entries(files).filter(([path]) => path.startsWith(`${folder}/`)));
    const longest = longestWays(importsOf(own)).sort((a, b) => b.length - a.length)[0] ?? [];
    if (longest.length > most) {
      const way = longest.map((path) => relative(folder, path)).join(' -> ');
      found.push(`${folder} has ${longest.length} floors, ${most} are allowed: ${way}`);
    }
  }
  for (const [path, text] of Object.entries(files)) {
    const lines = text.split('\n').length - 1;
    const most = LONGER[path] ?? MOST_LINES;
    if (lines > most) found.push(`${path} has ${lines} lines, ${most} are allowed`);
  }
  return found;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const found = problems();
  for (const text of found) console.error(text);
  process.exitCode = found.length > 0 ? 1 : 0;
}
