import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import type { GenerateOptions } from '../../lib/index.js';
import { AdapterFolder } from '../adapters/adapter-files.js';
import { FEATURES, type Feature } from '../composition/features.js';
import { loadSystems, type System } from '../composition/systems.js';
import { distance, numbersOf } from '../pipelines/tiny.js';

// A run of each system in fp16 on a GPU, here the emulated one, against the CPU, with what adds networks to it.
// scripts/test-emulated.mjs sets the library.
const onGpu = process.env.DEEPCACHE_CUDA_LIBRARY ? test : test.skip;

/** As in pipelines.test.ts: fp16, whole runs, and the encoder's where they begin with a picture. */
const RUN = 2e-2;
const FROM_PICTURE = Math.hypot(RUN, 5e-3);

/** What is tried with which systems; all of them are run without anything, too. */
const BESIDE = {
  SD: ['ControlNet, live', 'ControlNet-Union', 'T2I-Adapter', 'IP-Adapter', 'T-GATE and uniform'],
  SDXL: ['ControlNet-Union', 'T2I-Adapter', 'IP-Adapter', 'predicted calls'],
};

onGpu(
  'every system is like on the CPU',
  async () => {
    const root = mkdtempSync(join(tmpdir(), 'deepcache-systems-'));
    const files = new AdapterFolder();
    const onCpu = await loadSystems(mkdtempSync(join(root, 'cpu-')));
    const onDevice = await loadSystems(mkdtempSync(join(root, 'cuda-')), 'cuda');
    const made = async (system: System, feature: Feature | undefined) => {
      const { pipe, options } = system;
      // Four calls of every sampler that systems have by themselves.
      const calls = pipe.scheduler.compile({ steps: 4 }).timesteps.length;
      await feature?.attach?.(system, files);
      try {
        const run = { ...options, ...feature?.options(calls), steps: 4, seed: 7, output: 'latent' };
        return numbersOf(await pipe.generate(run as GenerateOptions));
      } finally {
        await feature?.detach?.(pipe);
      }
    };
    try {
      const apart: [name: string, distance: number][] = [];
      for (const [i, system] of onCpu.entries()) {
        const names = BESIDE[system.name as keyof typeof BESIDE] ?? [];
        const features = FEATURES.filter(({ name }) => names.includes(name));
        expect(features).toHaveLength(names.length);
        for (const feature of [undefined, ...features]) {
          const expected = await made(system, feature);
          const name = [system.name, feature?.name].filter(Boolean).join(', ');
          apart.push([name, distance(await made(onDevice[i] as System, feature), expected)]);
        }
      }
      expect(apart.filter(([, distance]) => !(distance < FROM_PICTURE))).toEqual([]);
    } finally {
      for (const { pipe } of [...onCpu, ...onDevice]) await pipe.dispose();
      files.remove();
      rmSync(root, { recursive: true });
    }
  },
  3_600_000,
);
