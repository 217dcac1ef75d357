// The CUDA kernels without a GPU (native/emulator): one process for each test, as many at once as there
// are cores.
//
//   node scripts/test-emulated.mjs [FILTER...] [--goldens FOLDER [--calls]]
//
// FILTERs are parts of tests' names; without one all run. Whole pipelines follow (test/emulated/*.ts), and with a folder of
// reference data the conformance runner: chosen cases of SD 1.5 in fp16 on the emulated sm_80 and sm_90a, and unless the filter
// is `quick` all cases in fp16 and bf16 on the sm_80. With --calls nothing but the conformance runner runs: the cases that are
// a single call of a network (U-Nets, autoencoders, encoders of text and pictures, control networks, upscalers), in fp16 and bf16 on
// both, the cores shared: 543 cases, each of a few seconds of one core, four times. The last line is "N passed, N failed".
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const bin = join(root, '.cmake-build', 'bin');
const tests = join(bin, 'emulated_tests');
const { values, positionals: filters } = parseArgs({
  allowPositionals: true,
  options: { goldens: { type: 'string' }, calls: { type: 'boolean', default: false } },
});

/** Every single pass of SD 1.5, and six pipelines. */
const QUICK = [
  'sd15/(models_io|deepcache_unet)/.*',
  'sd15/pipeline/sched/(ddim|dpmpp_2m_karras_dc_i3_b1)',
  'sd15/pipeline/dc/batch2_i3_b1',
  'sd15/pipeline/img2img/ddim_s0.3',
  'sd15/pipeline/inpaint_4ch/ddim_s0.3',
  'deepcache_paper/sd/nonuniform_i5_c8_p1.4',
].join('|');

/** Every single call of a network. */
const CALLS = [
  '(deepcache_unet|unet_variants|vae|motion)/.*',
  'upscalers/(rrdb|srvgg)_.*',
  '[^/]+/(models_io|deepcache_unet|encode_prompt)/.*',
  'adapters/(controlnet|controlnet_union|t2i_adapter|ip_adapter)/(model|encoder)/.*',
  'adapters/textual_inversion/(encode|chunks)/.*',
  'ddpm/\\w+\\.(forward|deepcache\\.b\\d+)',
  'ldm/(unet|vq)\\..*',
  'svd/(image_encoder|(vae|unet)\\..*)',
  't2v_zero/unet\\..*',
].join('|');

function build(target) {
  const args = [join(root, 'scripts', 'build-native.mjs'), '--target', target];
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}

/** Resolves with the exit status and all that the command printed; `show` passes it on meanwhile. */
function run(command, args, { env = {}, show = false } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, env: { ...process.env, ...env } });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        output += text;
        if (show) process.stdout.write(text);
      });
    }
    child.on('error', (error) => resolve({ status: 1, output: `${command}: ${error.message}\n` }));
    child.on('close', (status, signal) =>
      resolve({ status: status ?? 1, output: signal ? `${output}killed by ${signal}\n` : output }),
    );
  });
}

/** Tests that share the cores: each starts when another one ends. */
async function runTests(names) {
  let passed = 0;
  const queue = [...names];
  const worker = async () => {
    for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
      const { status, output } = await run(tests, [`=${name}`]);
      process.stdout.write(output.replace(/^1 passed, 0 failed\n|^0 passed, 1 failed\n/m, ''));
      if (status === 0) passed++;
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  return { passed, failed: names.length - passed };
}

/** Runs a script of the package on the emulated GPU and reads what it counted. */
async function runScript(args, passed, failed) {
  const env = { DEEPCACHE_CUDA_LIBRARY: join(bin, 'libdeepcache_cuda_emulated.so') };
  const { status, output } = await run(process.execPath, args, { env, show: true });
  const number = (pattern) => Number(output.match(pattern)?.[1] ?? 0);
  const counts = { passed: number(passed), failed: number(failed) };
  if (status !== 0 && counts.failed === 0) counts.failed = 1;
  return counts;
}

function runPipelines() {
  const jest = join(root, 'node_modules', 'jest', 'bin', 'jest.js');
  const node = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'];
  return runScript([...node, jest, 'test/emulated'], /^Tests:.* (\d+) passed/m, /^Tests:.* (\d+) failed/m);
}

function runGoldens(folder, device, dtype, cases) {
  const args = ['test/conformance/main.ts', folder, '--device', device, '--dtype', dtype];
  const filter = ['--filter', `^(${cases})$`];
  const tsx = join(root, 'node_modules', 'tsx', 'dist', 'cli.mjs');
  const counted = /^(\d+) passed, \d+ failed, \d+ not supported yet$/m;
  return runScript([tsx, ...args, ...filter], counted, /^\d+ passed, (\d+) failed, \d+ not/m);
}

if (values.goldens !== undefined && !existsSync(values.goldens)) {
  console.error(`${values.goldens} does not exist`);
  process.exit(2);
}
if (values.calls && values.goldens === undefined) {
  console.error('--calls needs --goldens FOLDER');
  process.exit(2);
}
const results = [];
if (!values.calls) {
  build('emulated_tests');
  const listed = spawnSync(tests, ['--list', ...filters], { cwd: root, encoding: 'utf8' });
  results.push(await runTests(listed.stdout.split('\n').filter(Boolean)));
}
build('cuda_emulated_library');
build('deepcache-bench'); // bench/gpu.sh is rehearsed
if (!values.calls && filters.every((filter) => filter === 'quick')) results.push(await runPipelines());
if (values.goldens !== undefined) {
  const both = ['cuda', 'cuda:2']; // sm_80, sm_90a
  const quick = both.map((device) => [device, 'fp16', QUICK]);
  const calls = both.flatMap((device) => ['fp16', 'bf16'].map((dtype) => [device, dtype, CALLS]));
  const all = [
    ['cuda:2', 'fp16', QUICK],
    ['cuda', 'fp16', '.*'],
    ['cuda', 'bf16', '.*'],
  ];
  const runs = values.calls ? calls : filters.includes('quick') ? quick : all;
  results.push(...(await Promise.all(runs.map((run) => runGoldens(values.goldens, ...run)))));
}
const sum = (key) => results.reduce((total, result) => total + result[key], 0);
console.log(`${sum('passed')} passed, ${sum('failed')} failed`);
process.exitCode = sum('failed') > 0 || sum('passed') === 0 ? 1 : 0;
