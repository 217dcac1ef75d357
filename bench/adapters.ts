// How long a LoRA takes to come and go, on weights of SDXL's sizes with fewer layers: synthetic ones, in fp16 and in fp32.
//
//   npx tsx bench/adapters.ts [--depth 4] [--rank 32] [--runs 5] [--threads 0]
//
// One line of JSON for each type of file: milliseconds for 100 MB of touched weights in fp32, by the clock and of the
// processor, which a busy machine changes less.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { SDXL } from '../lib/configs/unets.js';
import type { AdaptedWeight } from '../lib/native/adapter-terms.js';
import { native } from '../lib/native/binding.js';

const { values } = parseArgs({
  options: {
    depth: { type: 'string', default: '4' },
    rank: { type: 'string', default: '32' },
    runs: { type: 'string', default: '5' },
    threads: { type: 'string', default: '0' },
  },
});
const [depth, rank, runs, threads] = [values.depth, values.rank, values.runs, values.threads].map(Number) as [
  number,
  number,
  number,
  number,
];

const config = { ...SDXL, transformer_layers_per_block: [1, 2, depth] };
const shapes = native().weightShapes('unet', JSON.stringify(config));
/** What LoRAs of the usual kind touch: the linear layers of transformer blocks. */
const touched = shapes.filter(({ name, shape }) => shape.length === 2 && name.includes('transformer_blocks'));
const bytes = touched.reduce((sum, { shape }) => sum + 4 * (shape[0] as number) * (shape[1] as number), 0);

const folder = mkdtempSync(join(tmpdir(), 'deepcache-bench-'));
try {
  const weights = writeAdapter(join(folder, 'lora.bin'));
  for (const dtype of ['float16', 'float32'] as const) {
    const path = join(folder, `${dtype}.safetensors`);
    await native().writeSynthetic({ path, tensors: shapes, dtype }).promise;
    await measure(dtype, path, weights);
    rmSync(path);
  }
} finally {
  rmSync(folder, { recursive: true });
}

/** Factors of all layers as plain numbers, one after the other. */
function writeAdapter(file: string): AdaptedWeight[] {
  const parts: Float32Array[] = [];
  let offset = 0;
  const add = (rows: number, columns: number) => {
    const values = Float32Array.from({ length: rows * columns }, (_, i) => 0.01 * Math.sin(i));
    const place = { file, dtype: 'F32', shape: [rows, columns], offset };
    offset += values.byteLength;
    parts.push(values);
    return place;
  };
  const weights = touched.map(({ name, shape: [rows = 0, columns = 0] }) => ({
    name,
    terms: [
      {
        kind: 'lora' as const,
        scale: 1,
        factor: 1,
        tensors: { up: add(rows, rank), down: add(rank, columns) },
      },
    ],
  }));
  writeFileSync(file, Buffer.concat(parts.map(({ buffer }) => Buffer.from(buffer))));
  return weights;
}

async function measure(dtype: string, path: string, weights: AdaptedWeight[]): Promise<void> {
  const backend = new (native().Backend)({ device: 'cpu', threads });
  const source = { config: JSON.stringify(config), files: [path] };
  const unet = await native().loadUnet(backend, source).promise;
  const none = weights.map(({ name }) => ({ name, terms: [] }));
  const times = { apply: [] as number[], remove: [] as number[] };
  const processor = { apply: [] as number[], remove: [] as number[] };
  const clock = async (list: readonly AdaptedWeight[], which: 'apply' | 'remove') => {
    const [start, used] = [performance.now(), process.cpuUsage()];
    await unet.adapt(list).promise;
    const { user, system } = process.cpuUsage(used);
    times[which].push(performance.now() - start);
    processor[which].push((user + system) / 1000);
  };
  for (let i = 0; i <= runs; i++) {
    await clock(weights, 'apply');
    await clock(none, 'remove');
  }
  unet.dispose();
  // The first of each reads the file into the page cache.
  const per100 = (list: number[]) => {
    const sorted = list.slice(1).sort((a, b) => a - b);
    const of = (value: number) => Math.round((value / bytes) * 1e9) / 10;
    return { best: of(sorted[0] as number), median: of(sorted[sorted.length >> 1] as number) };
  };
  console.log(
    JSON.stringify({
      file: dtype,
      rank,
      layers: weights.length,
      megabytes: Math.round(bytes / 1e6),
      threads: backend.threads,
      isa: backend.isa,
      msPer100MB: { apply: per100(times.apply), remove: per100(times.remove) },
      processorMsPer100MB: { apply: per100(processor.apply), remove: per100(processor.remove) },
      load: loadavg()[0],
    }),
  );
}
