// TypeScript snippets: they type-check against the published types, with the types of libraries checked too, and run.
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** What a snippet takes from those before it. */
const GIVEN = {
  DiffusionPipeline: "import { DiffusionPipeline } from 'deepcache';",
  StableDiffusionPipeline: "import { StableDiffusionPipeline } from 'deepcache';",
  pipe: "const pipe = await StableDiffusionPipeline.fromPretrained('models/stable-diffusion-v1-5');",
  prompt: "const prompt = 'a red barn under a blue sky';",
  prompts: "const prompts = ['a red barn', 'a black cat in the snow'];",
  validationPrompts: "const validationPrompts = ['a yellow boat'];",
};

/** Declarations for the names that a snippet uses and does not declare. */
function prelude(text) {
  const lines = [];
  let all = text;
  // The last ones first: they need the ones before.
  for (const [name, line] of Object.entries(GIVEN).reverse()) {
    const isUsed = new RegExp(`(^|[^.\\w'/-])${name}\\b(?!:)`, 'm').test(all);
    const isDeclared = new RegExp(
      `(const|let) (${name}|\\{[^}]*\\b${name}\\b[^}]*\\})|import [^;]*\\b${name}\\b[^;]* from`,
    ).test(all);
    if (!isUsed || isDeclared) continue;
    lines.unshift(line);
    all = `${line}\n${all}`;
  }
  return lines.join('\n');
}

/** Writes the snippets into a project of their own: their files. */
function writeSnippets(folder, blocks) {
  mkdirSync(folder, { recursive: true });
  const files = blocks.map(({ document, line, text }) => {
    const file = `${document.replace(/\W+/g, '-')}-${line}.mts`;
    writeFileSync(join(folder, file), `${prelude(text)}\n${text}\nexport {};\n`);
    return file;
  });
  const compilerOptions = {
    ...{ module: 'nodenext', target: 'es2022', lib: ['es2022'], types: ['node'], noEmit: true },
    ...{ strict: true, skipLibCheck: false },
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }));
  return files;
}

/**
 * Failures of the snippets: texts. `folder` is a project that has the package installed and the files that they name;
 * those for which `canRun` is false, since a model is missing there, only type-check.
 */
export function checkSnippets(root, folder, blocks, canRun) {
  if (blocks.length === 0) return [];
  const files = writeSnippets(folder, blocks);
  const place = ({ document, line }) => `${document}:${line}`;
  const failures = [];
  for (const block of blocks) {
    if (/\busing\b/.test(block.text.replace(/\/\/.*/g, '')))
      failures.push(`${place(block)}: "using" is no syntax of Node.js 22`);
  }
  const tsc = join(root, 'node_modules/.bin/tsc');
  const types = spawnSync(tsc, ['-p', folder], { cwd: folder, encoding: 'utf8' });
  if (types.status !== 0) failures.push(`snippets do not type-check:\n${types.stdout}`);
  const tsx = join(root, 'node_modules/.bin/tsx');
  for (const [i, file] of files.entries()) {
    if (!canRun(blocks[i].text)) {
      console.log(`ok   ${place(blocks[i])} (snippet, not run: it needs models that are not here)`);
      continue;
    }
    const { status, stdout, stderr } = spawnSync(tsx, [file], { cwd: folder, encoding: 'utf8' });
    const block = blocks[i];
    if (status !== 0) failures.push(`${place(block)}: the snippet fails\n${stdout}${stderr}`);
    else console.log(`ok   ${place(block)} (snippet)`);
  }
  return failures;
}
