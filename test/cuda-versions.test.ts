import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';

// The CUDA library must build with CUDA 12.4, whose libraries run on drivers from 525 on. Each function of CUDA and each
// instruction that the sources name has the version here that brought it; a new one is looked up first (in the runtime's
// release notes, in the PTX manual's "PTX ISA Notes").
const OLDEST = { cuda: 12.4, ptx: 8.4 };

/** What is newer, and why it may be there all the same. */
const GUARDED = new Set(['cudaGetDriverEntryPointByVersion']); // under CUDART_VERSION

const FUNCTIONS: Record<number, string> = {
  10: `cudaMalloc cudaFree cudaMemcpyAsync cudaMemsetAsync cudaMemGetInfo cudaSetDevice cudaGetDevice cudaGetDeviceCount
    cudaGetDeviceProperties cudaDeviceGetAttribute cudaDriverGetVersion cudaRuntimeGetVersion cudaGetLastError
    cudaGetErrorName cudaGetErrorString cudaStreamCreateWithFlags cudaStreamDestroy cudaStreamSynchronize
    cudaStreamBeginCapture cudaStreamEndCapture cudaEventCreateWithFlags cudaEventDestroy cudaEventRecord
    cudaEventSynchronize cudaEventElapsedTime cudaFuncGetAttributes cudaFuncSetAttribute cudaGraphLaunch
    cudaGraphDestroy cudaGraphExecDestroy`,
  11.8: 'cudaLaunchKernelEx cudaOccupancyMaxActiveClusters',
  // With these parameters.
  12: 'cudaGraphInstantiate cudaGetDriverEntryPoint cuTensorMapEncodeTiled cuTensorMapEncodeIm2col',
  12.5: 'cudaGetDriverEntryPointByVersion',
};

const INSTRUCTIONS: Record<number, string> = {
  1: 'mov setp selp not and or xor bra trap add mul fma bar.sync bar.arrive ex2.approx lg2.approx rcp.approx sqrt.approx',
  6.5: 'ldmatrix',
  7: 'mma.sync cp.async.cg cp.async.commit_group cp.async.wait_group mbarrier.init mbarrier.arrive',
  7.8: 'mbarrier.try_wait barrier.cluster griddepcontrol stmatrix mapa',
  8: `cp.async.bulk wgmma.mma_async wgmma.fence wgmma.commit_group wgmma.wait_group setmaxnreg fence.mbarrier_init
    fence.proxy.async prefetch.tensormap mbarrier.arrive.expect_tx mbarrier.try_wait.parity.acquire elect.sync`,
  8.1: 'st.async cvt.rn.satfinite.e4m3x2.f32', // on sm_89; sm_90 had the latter with 7.8
};

function sources(): { name: string; text: string }[] {
  return ['native/cuda', 'native/cuda/kernels'].flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => /\.(cu|h)$/.test(name) && !name.includes('emulated'))
      .map((name) => ({ name, text: readFileSync(join(folder, name), 'utf8').replace(/\/\/.*$/gm, '') })),
  );
}

function versionOf(table: Record<number, string>, matches: (name: string) => boolean): number | undefined {
  const found = Object.entries(table).filter(([, names]) => names.split(/\s+/).some(matches));
  return found.length > 0 ? Math.max(...found.map(([version]) => Number(version))) : undefined;
}

/** The problems of names: those without a version, and those that are too new. */
function problems(
  names: Set<string>,
  oldest: number,
  version: (name: string) => number | undefined,
): string[] {
  return [...names]
    .filter((name) => !GUARDED.has(name))
    .filter((name) => (version(name) ?? Number.POSITIVE_INFINITY) > oldest)
    .map((name) => `${name}: ${version(name) ?? 'not in the table of this test'}`);
}

test('functions of CUDA are as old as the oldest toolkit', () => {
  const calls = sources().flatMap(({ text }) =>
    [...text.matchAll(/\b(cu(?:da)?[A-Z]\w*)\s*\(/g)].map((m) => m[1] as string),
  );
  expect(calls.length).toBeGreaterThan(30);
  expect(
    problems(new Set(calls), OLDEST.cuda, (name) => versionOf(FUNCTIONS, (known) => known === name)),
  ).toEqual([]);
});

test('instructions are as old as the oldest toolkit', () => {
  const words = sources().flatMap(({ text }) =>
    [...text.matchAll(/"(?:[^"\\\n]|\\.)*"/g)].flatMap(([string]) =>
      [...string.matchAll(/(?:^"|\\n|@\w+ |; ?)\s*([a-z]\w*(?:\.[a-z]\w*)*(?:::\w+)?)[^"]*?(?=[;\\"])/g)].map(
        (m) => m[1] as string,
      ),
    ),
  );
  const instructions = words.filter((word) => word.includes('.') && !/\.(h|cu|cc)$|^k(16|32)/.test(word));
  expect(instructions.length).toBeGreaterThan(25);
  // Qualifiers follow the name: cp.async.bulk.tensor.4d is cp.async.bulk.
  const version = (name: string) => versionOf(INSTRUCTIONS, (known) => `${name}.`.startsWith(`${known}.`));
  expect(problems(new Set(instructions), OLDEST.ptx, version)).toEqual([]);
});
