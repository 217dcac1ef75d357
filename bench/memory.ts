// npx tsx bench/memory.ts [--dtype bf16] [model folder] [pixels] [steps]
//
// What a run takes: private resident memory above the process's own before the model, at its highest, against what the
// pipeline reports (weights in compute type and the plans' arenas) plus 5 %. Without a folder it writes SD 1.5 with
// synthetic weights to a temporary one (2 GB, and 5 GB of memory to run). Prints JSON; fails above the bound.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { DiffusionPipeline, Image } from '../lib/index.js';
import { native } from '../lib/native/binding.js';
import { machine, mebibytes, memoryInUse } from './measure.js';

const SHARE = 0.05;
/** At least: a picture of 1024x1024 and its copies are 25 MiB, which only a toy model would notice. */
const LEAST = 32 * 2 ** 20;

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { dtype: { type: 'string', default: 'fp32' } },
});
const dtype = values.dtype === 'bf16' ? 'bf16' : 'fp32';
const [given, ...numbers] = positionals;
const [pixels = 512, steps = 2] = numbers.map(Number);
const temporary = given === undefined ? mkdtempSync(join(tmpdir(), 'deepcache-memory-')) : undefined;
const folder = given ?? join(temporary as string, 'sd15');

/** The highest memory in use since it was called; the model's buffers come and go within a run. */
function watchPeak(): () => number {
  let peak = 0;
  const look = () => {
    peak = Math.max(peak, native().residentMemory());
  };
  const timer = setInterval(look, 5);
  return () => {
    look();
    clearInterval(timer);
    return peak;
  };
}

try {
  if (temporary) {
    const synth = [
      '--import',
      'tsx',
      'weights-tools/main.ts',
      'synth',
      '--model',
      'sd15',
      '--quiet',
      '-o',
      folder,
    ];
    if (spawnSync(process.execPath, synth, { stdio: 'inherit' }).status !== 0) throw new Error('no model');
  }
  // Node.js with everything loaded that has nothing to do with the model: the addon, its threads, sharp.
  await new Image({ width: 8, height: 8, data: new Uint8Array(192) }).toBuffer('png');
  const before = await memoryInUse();

  const loading = watchPeak();
  const pipe = await DiffusionPipeline.fromPretrained(folder, { device: 'cpu', dtype, log: () => {} });
  const loadPeak = loading() - before;
  const loaded = (await memoryInUse()) - before;

  const running = watchPeak();
  const run = { prompt: 'a lighthouse', width: pixels, height: pixels, steps, seed: 1 };
  const { images, stats } = await pipe.generate({ ...run, scheduler: 'DDIM', cache: { interval: 2 } });
  const peak = running() - before;
  await images[0]?.toBuffer('png');
  const after = (await memoryInUse()) - before;
  const { weights, arenas, buffers } = stats.memory;
  await pipe.dispose();
  const disposed = (await memoryInUse()) - before;

  const reported = weights + arenas;
  const allowed = reported + Math.max(SHARE * reported, LEAST);
  const report = {
    benchmark: 'memory',
    ...machine(),
    model: given ?? 'SD 1.5, synthetic weights',
    dtype,
    pixels,
    steps,
    seconds: stats.times,
    reportedMiB: { weights: mebibytes(weights), arenas: mebibytes(arenas), buffers: mebibytes(buffers) },
    aboveNodeMiB: {
      loadPeak: mebibytes(loadPeak),
      loaded: mebibytes(loaded),
      runPeak: mebibytes(peak),
      afterRun: mebibytes(after),
      disposed: mebibytes(disposed),
    },
    allowedMiB: mebibytes(allowed),
    overWeightsAndArenas: Number((peak / reported - 1).toFixed(4)),
  };
  console.log(JSON.stringify(report, null, 2));
  if (peak > allowed) {
    console.error(`the run took ${report.aboveNodeMiB.runPeak} MiB, ${report.allowedMiB} are allowed`);
    process.exitCode = 1;
  }
} finally {
  if (temporary) rmSync(temporary, { recursive: true });
}
