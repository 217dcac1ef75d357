// What the CUDA kernels take, as the assembler reports it: registers, static shared memory, spills, and how
// many warps a multiprocessor can hold by registers alone. Fails when a kernel spills. Needs nvcc, no GPU.
//
//   node scripts/kernel-resources.mjs [ARCHITECTURE...]       default: 80 86 89 90a 120
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const folder = join(root, 'native', 'cuda', 'kernels');
const architectures = process.argv.length > 2 ? process.argv.slice(2) : ['80', '86', '89', '90a', '120'];

function assemble(file, architecture) {
  const target = `arch=compute_${architecture},code=sm_${architecture}`;
  const args = ['-std=c++20', '-O3', `-I${join(root, 'native')}`, '-gencode', target, '-Xptxas', '-v'];
  const { status, stderr, error } = spawnSync(
    'nvcc',
    [...args, '-c', join(folder, file), '-o', '/dev/null'],
    {
      encoding: 'utf8',
    },
  );
  if (error || status !== 0)
    throw new Error(`nvcc failed for ${file}, sm_${architecture}:\n${error ?? stderr}`);
  return stderr;
}

function demangle(names) {
  const { stdout, error } = spawnSync('c++filt', { input: names.join('\n'), encoding: 'utf8' });
  return error ? names : stdout.trim().split('\n');
}

/** Without namespaces, return type and parameters. */
function shorten(name) {
  return name
    .replace(/deepcache::cuda::|\(anonymous namespace\)::|^void /g, '')
    .replace(/\((?:int|bool)\)/g, '')
    .replace(/\([^()]*\)$/, '');
}

let spills = 0;
for (const architecture of architectures) {
  console.log(`\nsm_${architecture}\nregisters  shared  spilled  warps  kernel`);
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.cu'))) {
    const report = assemble(file, architecture);
    const kernels = [...report.matchAll(/Compiling entry function '(\S+)'[\s\S]*?Used (\d+) registers(.*)/g)];
    const names = demangle(kernels.map(([, name]) => name));
    kernels.forEach(([text, , registers, rest], i) => {
      const spilled = Number(/(\d+) bytes spill stores/.exec(text)?.[1] ?? 0);
      const shared = Number(/(\d+) bytes smem/.exec(rest)?.[1] ?? 0);
      // Registers are given to warps in units of 256.
      const warps = Math.min(64, Math.floor(65536 / (Math.ceil((registers * 32) / 256) * 256)));
      const cells = [registers.padStart(9), String(shared).padStart(8), String(spilled).padStart(9)];
      console.log(`${cells.join('')}${String(warps).padStart(7)}  ${shorten(names[i])}`);
      if (spilled) spills++;
    });
  }
}
console.log(spills ? `\n${spills} kernels spill` : '\nno kernel spills');
process.exit(spills ? 1 : 0);
