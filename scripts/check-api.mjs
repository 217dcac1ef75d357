// What users import: the report of its surface and the pages about it are up to date, every name has a doc comment,
// declarations compile as users compile them, type tests hold, and the packed package resolves.
//
//   node scripts/check-api.mjs [--renew]
//
// --renew (npm run docs:api): writes report and pages to docs/api instead of comparing them.
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { undocumented } from './api/comments.mjs';
import { extract } from './api/extract.mjs';
import { pages } from './api/page.mjs';
import { checkTypes } from './api/types.mjs';
import { pack, stageMain } from './release/stage.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** What is wrong with the API: texts. */
export function checkApi({ renew = false } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'deepcache-api-'));
  try {
    const stage = join(folder, 'stage');
    stageMain(stage, []);
    const problems = [...packageProblems(stage, folder), ...checkTypes(root, stage, join(folder, 'project'))];
    // Nothing can be read from declarations that do not compile.
    if (problems.length > 0) return problems;
    mkdirSync(join(stage, 'node_modules'));
    symlinkSync(join(root, 'node_modules/@types'), join(stage, 'node_modules/@types'));
    const entries = extract(stage, folder, problems);
    for (const { title, model } of entries)
      problems.push(...undocumented(model).map((name) => `${title}: ${name} has no doc comment`));
    const texts = pages(entries);
    for (const { name, report } of entries) {
      problems.push(...current(`docs/api/${name}.api.md`, report, renew));
      problems.push(...current(`docs/api/${name}.md`, texts.get(name), renew));
    }
    return problems;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function current(file, text, renew) {
  const path = join(root, file);
  if (renew) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
  if (existsSync(path) && readFileSync(path, 'utf8') === text) return [];
  return [`${file} is stale: npm run docs:api`];
}

/** What publint and Are the types wrong? say of the packed package. */
function packageProblems(stage, folder) {
  const { file } = pack(stage, folder);
  const programs = {
    publint: ['publint/src/cli.js', '--strict', stage],
    // CommonJS and old resolvers are not supported: the package is ESM.
    attw: ['@arethetypeswrong/cli/dist/index.js', '--profile', 'esm-only', '--no-emoji', file],
  };
  return Object.entries(programs).flatMap(([name, [cli, ...args]]) => {
    const command = [join(root, 'node_modules', cli), ...args];
    const { status, stdout, stderr } = spawnSync(process.execPath, command, { encoding: 'utf8' });
    return status === 0 ? [] : [`${name}:\n${stdout}${stderr}`];
  });
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const problems = checkApi({ renew: process.argv.includes('--renew') });
  for (const problem of problems) console.error(`FAIL ${problem}`);
  process.exit(problems.length > 0 ? 1 : 0);
}
