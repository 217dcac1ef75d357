// What a cache saves with a ControlNet beside the U-Net, against what multiply-accumulates predict: Stable Diffusion 1.5's sizes
// with synthetic weights, on the CPU.
//
//   npx tsx bench/controlnet.ts [--size 256] [--steps 6] [--runs 2] [--interval 3] [--branch 0] [--threads 0]
//
// One line of JSON: seconds of a run by the clock and of the processor (user time, which a busy machine changes less), the
// fastest of each, and the speed-ups, measured and predicted by the executed and the complete counts.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { UNET_CONFIGS } from '../lib/configs/unets.js';
import type { CacheOptions } from '../lib/deepcache/index.js';
import { StableDiffusionPipeline } from '../lib/index.js';
import { native } from '../lib/native/binding.js';
import { writeSyntheticModel } from '../weights-tools/synthetic-model.js';

const { values } = parseArgs({
  options: {
    size: { type: 'string', default: '256' },
    steps: { type: 'string', default: '6' },
    runs: { type: 'string', default: '2' },
    interval: { type: 'string', default: '3' },
    branch: { type: 'string', default: '0' },
    threads: { type: 'string', default: '0' },
  },
});
const [size, steps, runs, interval, branch, threads] = (
  ['size', 'steps', 'runs', 'interval', 'branch', 'threads'] as const
).map((name) => Number(values[name])) as [number, number, number, number, number, number];

const folder = mkdtempSync(join(tmpdir(), 'deepcache-bench-'));
try {
  const unet = UNET_CONFIGS.sd15 as Record<string, unknown>;
  await writeSyntheticModel(folder, { unet, isSmall: true });
  const controlNet = await writeControlNet(unet);
  const pipe = await StableDiffusionPipeline.fromPretrained(folder, {
    controlNet: controlNet.path,
    device: 'cpu',
    threads,
    log: () => {},
  });
  const controlImage = {
    data: new Float32Array(3 * size * size).map((_, i) => ((i >> 4) % 2 ? 1 : 0)),
    shape: [1, 3, size, size],
  };
  const options = {
    prompt: 'a',
    width: size,
    height: size,
    steps,
    guidanceScale: 1,
    seed: 1,
    scheduler: 'DDIMScheduler',
    output: 'latent',
    controlImage,
  } as const;
  const measure = async (cache: CacheOptions, controlCache: 'hold' | 'live') => {
    const run = { ...options, cache, controlCache };
    await pipe.generate({ ...run, steps: Math.max(2, interval) });
    const [clock, user]: [number[], number[]] = [[], []];
    for (let i = 0; i < runs; i++) {
      const [before, from] = [process.cpuUsage(), performance.now()];
      await pipe.generate(run);
      clock.push((performance.now() - from) / 1000);
      user.push(process.cpuUsage(before).user / 1e6);
    }
    return { clock: Math.min(...clock), user: Math.min(...user) };
  };
  const cache = { interval, branch };
  const full = await measure(false, 'hold');
  const held = await measure(cache, 'hold');
  const live = await measure(cache, 'live');
  const latents = { batch: 1, height: size / 8, width: size / 8, contextLength: 77 };
  const own = await native().planUnet(JSON.stringify(unet), latents).promise;
  const net = await native().planUnet(controlNet.config, latents).promise;
  const calls = Math.ceil(steps / interval);
  const predicted = (count: 'executed' | 'complete', isLive: boolean) => {
    const once = count === 'executed' ? (net.once?.executed ?? 0) : 0;
    const whole = own.full[count] + net.full[count];
    const cached = (own.branches[branch]?.[count] ?? 0) + (isLive ? (net.branches[branch]?.[count] ?? 0) : 0);
    return (whole * steps + once) / (whole * calls + cached * (steps - calls) + once);
  };
  const ratio = (of: typeof full, isLive: boolean) => ({
    ...of,
    speedupClock: full.clock / of.clock,
    speedupUser: full.user / of.user,
    predictedExecuted: predicted('executed', isLive),
    predictedComplete: predicted('complete', isLive),
  });
  const result = {
    size,
    steps,
    interval,
    branch,
    load: loadavg()[0],
    full,
    hold: ratio(held, false),
    live: ratio(live, true),
  };
  process.stdout.write(`${JSON.stringify(result)}\n`);
  await pipe.dispose();
} finally {
  rmSync(folder, { recursive: true });
}

/** One for the U-Net, with the published hint's channels. */
async function writeControlNet(unet: Record<string, unknown>): Promise<{ path: string; config: string }> {
  const { up_block_types: _, out_channels: __, ...encoder } = unet;
  const config = JSON.stringify({ ...encoder, _class_name: 'ControlNetModel' });
  const path = join(folder, 'canny');
  mkdirSync(path);
  writeFileSync(join(path, 'config.json'), config);
  await native().writeSynthetic({
    path: join(path, 'diffusion_pytorch_model.safetensors'),
    tensors: native().weightShapes('unet', config),
    dtype: 'float16',
  }).promise;
  return { path, config };
}
