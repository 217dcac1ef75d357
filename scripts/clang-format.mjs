// clang-format over the C++ sources: reports what differs, or rewrites it with --fix.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const folders = ['native', 'test/native', 'test/emulated', 'test/ops', 'bench'];

function sources(folder) {
  let entries = [];
  try {
    entries = readdirSync(join(root, folder), { recursive: true });
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
  }
  return entries.filter((file) => /\.(h|cc|cu|cuh)$/.test(file)).map((file) => join(folder, file));
}

const files = folders.flatMap(sources);
if (files.length > 0) {
  const clangFormat = createRequire(import.meta.url)('clang-format').getNativeBinary();
  const mode = process.argv.includes('--fix') ? ['-i'] : ['--dry-run', '-Werror'];
  const { status } = spawnSync(clangFormat, [...mode, ...files], { cwd: root, stdio: 'inherit' });
  process.exit(status ?? 1);
}
