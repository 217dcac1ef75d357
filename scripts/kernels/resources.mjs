// What the CUDA kernels take on each architecture: registers and spills as the assembler reports them, shared
// memory as they are launched, and how many of their blocks and warps a multiprocessor holds. Fails when a main
// kernel spills. Needs nvcc and the emulated library (target cuda_emulated_library), no GPU.
//
//   node scripts/kernels/resources.mjs [--markdown FILE] [--json FILE] [ARCHITECTURE...]   default: 80 86 89 90a 120
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { assemble, kernelFiles } from './assemble.mjs';
import { functionsOf, MAIN, nvccVersion } from './names.mjs';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const binaries = join(root, '.cmake-build', 'bin');

/** CUDA's programming guide, technical specifications of each compute capability; shared memory in KiB. */
const CHIPS = {
  80: { warps: 64, blocks: 32, shared: 164 },
  86: { warps: 48, blocks: 16, shared: 100 },
  89: { warps: 48, blocks: 24, shared: 100 },
  '90a': { warps: 64, blocks: 32, shared: 228 },
  120: { warps: 48, blocks: 24, shared: 100 },
};
const REGISTERS = 65536;
/** The emulated GPUs of sm_80 and sm_90a. */
const DEVICES = ['cuda:0', 'cuda:2'];
/** {kernel: {threads, shared}} of the launches with the most shared memory, from a check in emulation. */
function launches() {
  const library = join(binaries, 'libdeepcache_cuda_emulated.so');
  const scratch = mkdtempSync(join(tmpdir(), 'launches-'));
  const log = join(scratch, 'log');
  const env = { ...process.env, DEEPCACHE_CUDA_LIBRARY: library, DEEPCACHE_LAUNCH_LOG: log };
  const check = (device, ...args) =>
    spawnSync(join(binaries, 'deepcache-bench'), ['check', '--device', device, ...args], {
      env,
      stdio: 'ignore',
    });
  const out = new Map();
  try {
    for (const device of DEVICES) {
      check(device, '--parts', 'ops');
      check(device, '--type', 'bf16', '--parts', 'ops');
      check(device, '--parts', 'shapes', '--models', 'tiny-sd15');
    }
    if (!existsSync(log))
      throw new Error(
        'the emulated checks did not run: build deepcache-bench and cuda_emulated_library anew',
      );
    const symbols = functionsOf(library);
    for (const line of readFileSync(log, 'utf8').trim().split('\n')) {
      const [offset, threads, shared] = line.split(' ');
      const name = symbols.get(Number.parseInt(offset, 16));
      const known = out.get(name);
      if (!known || known.shared < Number(shared))
        out.set(name, { threads: Number(threads), shared: Number(shared) });
    }
  } finally {
    rmSync(scratch, { recursive: true });
  }
  return out;
}

/** Blocks of a kernel that a multiprocessor holds at once. */
function occupancy(row, launch) {
  const chip = CHIPS[row.architecture];
  const warps = Math.ceil(launch.threads / 32);
  // Registers are given to warps in units of 256, shared memory to blocks with 1 KiB for the system.
  const byRegisters = Math.floor(REGISTERS / (Math.ceil((row.registers * 32) / 256) * 256) / warps);
  const byShared = Math.floor((chip.shared * 1024) / (row.static + launch.shared + 1024));
  return Math.min(byRegisters, byShared, chip.blocks, Math.floor(chip.warps / warps));
}

function markdown(rows) {
  const head = ['kernel', 'sm', 'registers', 'spilled', 'threads', 'shared', 'blocks', 'warps'];
  const lines = rows.map((r) =>
    [
      r.kernel,
      r.architecture,
      r.registers,
      r.spilled,
      r.threads ?? '',
      r.shared ?? r.static,
      r.blocks ?? '',
      r.warps ?? '',
    ].join(' | '),
  );
  return `# CUDA kernels: resources

What nvcc ${version} makes of them: registers and spilled bytes of a thread, threads and shared bytes (static and
dynamic) of a block as it is launched, blocks and warps that a multiprocessor holds. Made by scripts/kernels/resources.mjs, no GPU involved.
No threads: a kernel that the emulated checks do not launch.

| ${head.join(' | ')} |
|${head.map(() => '---').join('|')}|
${lines.map((line) => `| ${line} |`).join('\n')}
`;
}

const { values: options, positionals } = parseArgs({
  options: { markdown: { type: 'string' }, json: { type: 'string' } },
  allowPositionals: true,
});
const architectures = positionals.length > 0 ? positionals : Object.keys(CHIPS);
for (const a of architectures) {
  if (!CHIPS[a]) throw new Error(`unknown architecture ${a}; known are ${Object.keys(CHIPS).join(', ')}`);
}
const version = nvccVersion();
const known = launches();
const rows = [];
for (const [file, own] of kernelFiles(architectures)) {
  for (const row of assemble(file, own)) {
    const launch = known.get(row.kernel);
    if (launch) {
      const blocks = occupancy(row, launch);
      const shared = row.static + launch.shared;
      Object.assign(row, { threads: launch.threads, shared, blocks });
      row.warps = blocks * Math.ceil(launch.threads / 32);
    }
    rows.push(row);
    const cells = [row.architecture, row.registers, row.spilled, row.threads, row.shared ?? row.static];
    cells.push(row.blocks, row.warps);
    console.log(`${cells.map((cell) => String(cell ?? '').padStart(7)).join('')}  ${row.kernel}`);
  }
}
if (options.markdown) writeFileSync(options.markdown, markdown(rows));
if (options.json) writeFileSync(options.json, `${JSON.stringify({ nvcc: version, rows }, null, 1)}\n`);
const spilling = rows.filter((row) => row.spilled > 0 && MAIN.test(row.kernel));
for (const { kernel, architecture, spilled } of spilling)
  console.error(`${kernel} spills ${spilled} bytes on sm_${architecture}`);
console.log(spilling.length > 0 ? `${spilling.length} main kernels spill` : 'no main kernel spills');
process.exit(spilling.length > 0 ? 1 : 0);
