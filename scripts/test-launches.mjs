// Every program of the published models made for real GPUs that are not there, nothing executed: each
// launch and each tensor map is held against what CUDA documents (test/launches).
//
//   node scripts/test-launches.mjs [--gpus NAME,NAME] [--models NAME,NAME] [--batches N,N] [--plant N]
//
// Prints the kernels that were chosen and what is wrong. Without options planted bugs (native/cuda/gpu.h) follow, of which each
// must be found; --plant shows what one of them makes wrong. The last line is "N passed, N failed".
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { functionsOf } from './kernels/names.mjs';
import { recorded } from './kernels/record.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const launches = join(root, '.cmake-build', 'bin', 'launches');
const { values } = parseArgs({
  options: {
    gpus: { type: 'string' },
    models: { type: 'string' },
    batches: { type: 'string' },
    plant: { type: 'string' },
  },
});

/** How many failures of a GPU are printed. */
const SHOWN = 40;

/** Bugs in programs of SD 1.5 for one image, and what is to be said of them. */
const PLANTS = [
  // Dynamic shared memory is asked for above 48 KiB only, whatever a kernel's arrays take.
  {
    bug: 50,
    gpu: 'H200',
    finds: [
      /group_norm_once_kernel<__half>: \d+ bytes of static and 45056 of dynamic .* group_norm 320 \dx64x64/,
      /group_norm_once_kernel<__half>: .* 45056 of dynamic .* group_norm 320\+320 \dx64x64/,
      /group_norm_once_kernel<__half>: .* 32768 of dynamic .* group_norm 640\+320 \dx32x32/,
      /group_norm_once_kernel<__half>: .* 32768 of dynamic .* group_norm 1280\+640 \dx32x32/,
    ],
  },
  { bug: 50, gpu: 'A100', finds: [/group_norm_once_kernel<__half>: .* group_norm 1280\+1280 \dx16x16/] },
  { bug: 50, gpu: 'RTX 4090', finds: [/group_norm_once_kernel<__half>: .* group_norm 1280\+1280 \dx16x16/] },
  // A box of twice a tile's columns.
  { bug: 80, gpu: 'H200', finds: [/tensor map: a box has .* more than 256; (conv|linear) /] },
  { bug: 81, gpu: 'H200', finds: [/group_norm_once_kernel<__half>: a cluster of 16 blocks/] },
];

/** The kernels of the executable with what is recorded of them, as it reads them. */
function kernelTable(code) {
  const kernels = recorded();
  return [...functionsOf(launches)]
    .filter(([, name]) => /_kernel\b/.test(name))
    .map(([address, name]) => {
      const [registers, bytes] = kernels[name]?.[code] ?? [0, 0];
      return `${address.toString(16)} ${registers} ${bytes} ${name}\n`;
    })
    .join('');
}

/** Resolves with the exit status and all that the process printed. */
function run(args) {
  return new Promise((resolve) => {
    const child = spawn(launches, args, { cwd: root });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text) => {
        output += text;
      });
    child.on('close', (status, signal) =>
      resolve({ status: status ?? 1, output: signal ? `${output}killed by ${signal}\n` : output }),
    );
  });
}

const build = [join(root, 'scripts', 'build-native.mjs'), '--target', 'launches'];
const { status } = spawnSync(process.execPath, build, { cwd: root, stdio: 'inherit' });
if (status !== 0) process.exit(status ?? 1);

const wanted = values.gpus?.split(',');
const listed = spawnSync(launches, ['--list'], { encoding: 'utf8' })
  .stdout.trim()
  .split('\n')
  .map((line) => line.split('\t'));
const codes = new Map(listed.map(([code, gpu]) => [gpu, code]));
const queue = listed.filter(([, gpu]) => wanted === undefined || wanted.includes(gpu));
const passOn = ['models', 'batches', 'plant'].flatMap((name) =>
  values[name] === undefined ? [] : [`--${name}`, values[name]],
);
const scratch = mkdtempSync(join(tmpdir(), 'launches-'));
const total = { passed: 0, failed: 0 };

/** All but the failures that are too many. */
function shorten(output) {
  let failures = 0;
  const lines = output.split('\n').filter((line) => !line.startsWith('FAILED') || ++failures <= SHOWN);
  return failures > SHOWN ? `${lines.join('\n')}and ${failures - SHOWN} more failures\n` : lines.join('\n');
}

/** What a run of a GPU printed, and its exit status. */
function check(code, gpu, args) {
  const table = join(scratch, `${code}-${args.join('')}`.replaceAll('/', ''));
  writeFileSync(table, kernelTable(code));
  return run(['--gpu', gpu, '--kernels', table, ...args]);
}

/** Adds what a run says that it counted, and prints the rest. */
function count({ status, output }) {
  const [line, passed, failed] = /^(\d+) passed, (\d+) failed\n/m.exec(output) ?? ['', 0, 0];
  process.stdout.write(shorten(output.replace(line, '')));
  total.passed += Number(passed);
  total.failed += Number(failed);
  if (status !== 0 && Number(failed) === 0) total.failed++;
}

/** GPUs that share the cores: each starts when another one ends. */
async function worker() {
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const [code, gpu] = next;
    count(await check(code, gpu, passOn));
  }
}

/** Counts the planted bugs that are found. */
async function plant({ bug, gpu, finds }) {
  const { output } = await check(codes.get(gpu), gpu, [
    '--models',
    'sd15',
    '--batches',
    '1',
    '--plant',
    String(bug),
  ]);
  const failures = output.split('\n').filter((line) => line.startsWith('FAILED'));
  for (const pattern of finds) {
    const found = failures.some((line) => pattern.test(line));
    total[found ? 'passed' : 'failed']++;
    if (!found) console.log(`FAILED ${gpu}: planted bug ${bug} is not found: no failure matches ${pattern}`);
  }
}

try {
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  if (Object.keys(values).length === 0) {
    count(await run(['--rules']));
    for (const each of PLANTS) await plant(each);
  }
} finally {
  rmSync(scratch, { recursive: true });
}
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0;
