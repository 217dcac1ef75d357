// The API (scripts/check-api.mjs), and every snippet and command of the documents, in a project beside the checkout:
// snippets type-check against dist and run, commands run with the demo model, or with small models where they name the
// reader's. Needs a built checkout.
//
//   node scripts/check-docs.mjs [--xl FOLDER] [DOCUMENT...]
//
// --xl: a folder with small SDXL models, sdxl-tiny and sdxl-refiner-tiny; without it what needs them does not run.
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { checkApi } from './check-api.mjs';
import { isElsewhere, missingParts, prepared, run } from './docs/commands.mjs';
import { codeBlocks, commands, documents } from './docs/documents.mjs';
import { checkSnippets } from './docs/snippets.mjs';
import { staleTables } from './options-table.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** A project with the package, a model and pictures of the names that the documents use. */
async function makeProject(folder) {
  const modules = join(folder, 'node_modules');
  mkdirSync(join(modules, '.bin'), { recursive: true });
  symlinkSync(root, join(modules, 'deepcache'));
  symlinkSync(join(root, 'node_modules/@types'), join(modules, '@types'));
  symlinkSync(join(root, 'dist/lib/cli/main.js'), join(modules, '.bin/deepcache'));
  symlinkSync(join(root, 'dist/weights-tools/main.js'), join(modules, '.bin/weights-tools'));
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }');
  const copyModel = (path, part = '') =>
    cpSync(join(root, 'test/fixtures/sd15-tiny', part), join(folder, path), { recursive: true });
  copyModel('models/stable-diffusion-v1-5');
  // What the documents call by its name on the Hub: a folder of that name comes first.
  copyModel('stable-diffusion-v1-5/stable-diffusion-v1-5');
  // Any small autoencoder stands for the one of previews.
  copyModel('models/taesd', 'vae');
  copyModel('stable-diffusion-webui/models/diffusers/dreamshaper');
  copyModel('stable-diffusion-webui/models/VAE/vae-ft-mse', 'vae');
  writeEmbedding(join(folder, 'stable-diffusion-webui/embeddings'), 'EasyNegative.safetensors');
  const sharp = createRequire(import.meta.url)('sharp');
  const picture = (background) => sharp({ create: { width: 64, height: 64, channels: 3, background } });
  for (const name of ['sketch.png', 'room.jpg']) await picture('#a43').toFile(join(folder, name));
  await picture('#fff').toFile(join(folder, 'mask.png'));
  writeFileSync(join(folder, 'prompts.txt'), 'a red house\na dog\n');
}

/** A textual inversion for the small model: one vector of 32 zeros. */
function writeEmbedding(folder, name) {
  mkdirSync(folder, { recursive: true });
  const tensor = { dtype: 'F32', shape: [1, 32], data_offsets: [0, 128] };
  const header = Buffer.from(JSON.stringify({ emb_params: tensor }));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  writeFileSync(join(folder, name), Buffer.concat([length, header, Buffer.alloc(128)]));
}

const { values, positionals: wanted } = parseArgs({
  options: { xl: { type: 'string' } },
  allowPositionals: true,
});
// Checkpoints in a single file, ControlNets and upscalers have their published sizes, and are not at hand.
const canRun = (text) =>
  !/\.(safetensors|ckpt|pth)\b|\bsd-controlnet|\bdreamshaper|\b(?:stabilityai|google)\/|--save\b/.test(
    text,
  ) &&
  (values.xl !== undefined || !/sdxl/i.test(text));
const checked = documents(root).filter((name) => wanted.length === 0 || wanted.includes(name));
const folder = mkdtempSync(join(tmpdir(), 'deepcache-docs-'));
// The reference is about the whole API.
const failures = wanted.length === 0 ? checkApi() : [];
let passed = 0;
try {
  failures.push(
    ...(await staleTables()).map((name) => `${name}: its table of options is stale; npm run docs:options`),
  );
  await makeProject(folder);
  if (values.xl !== undefined) {
    for (const name of ['sdxl', 'sdxl-refiner'])
      cpSync(join(values.xl, `${name}-tiny`), join(folder, 'models', name), { recursive: true });
  }
  const blocks = checked.flatMap((name) => codeBlocks(root, name, 'ts'));
  const wrong = checkSnippets(root, folder, blocks, canRun);
  failures.push(...wrong);
  passed += blocks.length - Math.min(blocks.length, wrong.length);
  const done = new Set();
  for (const { document, line, text } of checked.flatMap((name) => commands(root, name))) {
    const command = prepared(text);
    // Those in the text are often those of a block.
    if (done.has(command)) continue;
    done.add(command);
    const failure =
      missingParts(root, text) ?? (isElsewhere(text) || !canRun(command) ? undefined : run(folder, command));
    if (failure) failures.push(`${document}:${line}: ${failure}`);
    else passed++;
    if (!failure)
      console.log(
        `ok   ${document}:${line}: ${command}${isElsewhere(text) || !canRun(command) ? ' (not run here)' : ''}`,
      );
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
for (const failure of failures) console.error(`FAIL ${failure}`);
console.log(`${passed} passed, ${failures.length} failed`);
process.exit(failures.length > 0 ? 1 : 0);
