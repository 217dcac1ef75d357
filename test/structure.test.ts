import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

type Imports = Record<string, string[]>;
interface Structure {
  sources(folder: string, base?: string): Record<string, string>;
  importsOf(files: Record<string, string>): Imports;
  findCircle(imports: Imports): string[] | undefined;
  longestWays(imports: Imports): string[][];
  problems(base?: string): string[];
}

// A variable, for TypeScript knows no types of it.
const script = join(import.meta.dirname, '../scripts/check-structure.mjs');
const { importsOf, findCircle, longestWays, problems } = (await import(script)) as Structure;

test('the sources have no import circle, few floors and short files', () => {
  expect(problems()).toEqual([]);
});

describe('of made-up sources', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'deepcache-structure-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const write = (files: Record<string, string>) => {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), text);
    }
  };

  test('every form of an import counts, in several lines, types too', () => {
    const files = {
      'lib/a.ts': [
        "import { b } from './b.js';",
        "import type { C } from './sub/c.js';",
        "export {\n  type D,\n  d,\n} from './d.js';",
        "export * from './e.js';",
        "import './f.js';",
        "const g = await import('./g.js');",
        "import fs from 'node:fs';",
      ].join('\n'),
      'lib/b.ts': "// import { a } from './a.js';\nexport const b = 1;",
      ...Object.fromEntries(['sub/c', 'd', 'e', 'f', 'g'].map((name) => [`lib/${name}.ts`, ''])),
    };
    const imports = importsOf(files);
    const all = ['b', 'sub/c', 'd', 'e', 'f', 'g'].map((name) => `lib/${name}.ts`);
    expect([...(imports['lib/a.ts'] as string[])].sort()).toEqual(all.sort());
    expect(imports['lib/b.ts']).toEqual([]);
  });

  test('a circle is found wherever it begins', () => {
    expect(findCircle({ a: ['b'], b: ['c'], c: ['d'], d: ['b'] })).toEqual(['b', 'c', 'd', 'b']);
    expect(findCircle({ a: ['b', 'c'], b: ['c'], c: [] })).toBeUndefined();
    write({ 'lib/x.ts': "import './y.js';\n", 'lib/y.ts': "import type { X } from './x.js';\n" });
    expect(problems(folder)).toEqual(['import circle: lib/x.ts -> lib/y.ts -> lib/x.ts']);
  });

  test('floors are counted along the longest way, within the folder', () => {
    expect(longestWays({ a: ['b', 'd'], b: ['c'], c: ['d'], d: [] })[0]).toEqual(['a', 'b', 'c', 'd']);
    const chain = Array.from({ length: 8 }, (_, i) => [
      `lib/pipelines/f${i}.ts`,
      i === 0 ? "import '../elsewhere.js';\n" : `import './f${i - 1}.js';\n`,
    ]);
    write({ ...Object.fromEntries(chain), 'lib/elsewhere.ts': '' });
    expect(problems(folder)).toEqual([
      'lib/pipelines has 8 floors, 7 are allowed: f7.ts -> f6.ts -> f5.ts -> f4.ts -> f3.ts -> f2.ts -> f1.ts -> f0.ts',
    ]);
  });

  test('long files are told', () => {
    write({ 'lib/long.ts': 'export {};\n'.repeat(301), 'lib/pipelines/short.ts': '\n'.repeat(300) });
    expect(problems(folder)).toEqual(['lib/long.ts has 301 lines, 300 are allowed']);
  });
});
