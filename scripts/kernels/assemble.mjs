// The sources of the CUDA kernels, and what nvcc's assembler reports of them.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { demangle, shorten } from './names.mjs';

const native = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), 'native');
const folder = join(native, 'cuda', 'kernels');

/** Pairs [file, its architectures]: those of one architecture are empty in the code of others. */
export function kernelFiles(architectures) {
  const files = readdirSync(folder).filter((name) => name.endsWith('.cu'));
  return files
    .map((file) => [file, architectures.filter((a) => a === '90a' || !/_sm90\.cu$/.test(file))])
    .filter(([, own]) => own.length > 0);
}

/** Rows {kernel, architecture, registers, spilled, static} of a file. Throws an Error when nvcc fails. */
export function assemble(file, architectures) {
  const targets = architectures.flatMap((a) => ['-gencode', `arch=compute_${a},code=sm_${a}`]);
  const args = ['-std=c++20', '-O3', `-I${native}`, ...targets, '-Xptxas', '-v'];
  args.push('-c', join(folder, file), '-o', '/dev/null');
  const { status, stderr, error } = spawnSync('nvcc', args, { encoding: 'utf8', maxBuffer: 1 << 28 });
  if (error || status !== 0) throw new Error(`nvcc failed for ${file}:\n${error ?? stderr}`);
  const entry = /Compiling entry function '(\S+)' for 'sm_(\w+)'([\s\S]*?Used \d+ registers.*)/g;
  const found = [...stderr.matchAll(entry)];
  const names = demangle(found.map(([, name]) => name));
  return found.map(([, , architecture, report], i) => ({
    kernel: shorten(names[i]),
    architecture,
    registers: Number(/Used (\d+) registers/.exec(report)[1]),
    spilled: Number(/(\d+) bytes spill stores/.exec(report)?.[1] ?? 0),
    static: Number(/(\d+) bytes smem/.exec(report)?.[1] ?? 0),
  }));
}
