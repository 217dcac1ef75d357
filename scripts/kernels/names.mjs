// Names of kernels, as people read them.
import { execFileSync } from 'node:child_process';

/** Kernels that a U-Net step spends its time in. */
export const MAIN = /matmul|attention|group_norm|group_statistics|layer_norm/;

/** Without namespaces, return type and parameters. */
export function shorten(name) {
  return name
    .replace(/deepcache::(cuda|emulator)::|\(anonymous namespace\)::|^void /g, '')
    .replace(/\((?:int|bool|unsigned int)\)/g, '')
    .replace(/\([^()]*\)$/, '');
}

export function demangle(names) {
  return execFileSync('c++filt', { input: names.join('\n'), encoding: 'utf8' })
    .trim()
    .split('\n');
}

/** "13.0", or undefined without nvcc. */
export function nvccVersion() {
  try {
    return /release (\S+),/.exec(execFileSync('nvcc', ['--version'], { encoding: 'utf8' }))?.[1];
  } catch {
    return undefined;
  }
}

/** {address: short name} of all functions of an executable or library. */
export function functionsOf(binary) {
  const symbols = new Map();
  const options = { encoding: 'utf8', maxBuffer: 1 << 28 };
  for (const line of execFileSync('nm', ['-C', '--defined-only', binary], options).split('\n')) {
    const [, address, name] = /^([0-9a-f]+) [tTwW] (.*)$/.exec(line) ?? [];
    if (address) symbols.set(Number.parseInt(address, 16), shorten(name));
  }
  return symbols;
}
