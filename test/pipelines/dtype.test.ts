import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { StableDiffusionPipeline } from '../../lib/index.js';
import { native } from '../../lib/native/binding.js';
import { openBackend } from '../../lib/native/device.js';
import { AdapterFolder, values } from '../adapters/adapter-files.js';
import { distance, latentsOf, loadTiny, sameBits } from './tiny.js';

test("'fp8' rounds the operands of products, and settings say so", async () => {
  const [exact, rounded] = [await loadTiny(), await loadTiny({ dtype: 'fp8' })];
  try {
    const [expected, actual] = [await latentsOf(exact), await latentsOf(rounded)];
    // A product of operands of 3 bits is off by 4 %; a run damps and sums that.
    const error = distance(actual, expected);
    expect(error).toBeGreaterThan(1e-3);
    expect(error).toBeLessThan(0.3);
    const { settings } = await rounded.generate({ prompt: 'a lighthouse', steps: 1, seed: 1 });
    expect(settings[0]).toContain('Precision: fp8');
  } finally {
    await Promise.all([exact.dispose(), rounded.dispose()]);
  }
});

describe("'bf16' on the CPU", () => {
  let exact: StableDiffusionPipeline;
  let rounded: StableDiffusionPipeline;
  beforeAll(async () => {
    [exact, rounded] = [await loadTiny(), await loadTiny({ dtype: 'bf16' })];
  });
  afterAll(() => Promise.all([exact.dispose(), rounded.dispose()]));

  test('rounds the operands of products, and settings say so', async () => {
    const [expected, actual] = [await latentsOf(exact), await latentsOf(rounded)];
    const error = distance(actual, expected);
    // A call is off by less than 1e-2 (conformance); guidance multiplies that by several times in this random model.
    expect(error).toBeGreaterThan(1e-5);
    expect(error).toBeLessThan(0.1);
    const { settings } = await rounded.generate({ prompt: 'a lighthouse', steps: 1, seed: 1 });
    expect(settings[0]).toContain('Precision: bf16');
  });

  test('repeats bit for bit, whatever the number of threads', async () => {
    const expected = await latentsOf(rounded);
    expect(sameBits(await latentsOf(rounded), expected)).toBe(true);
    const single = await loadTiny({ dtype: 'bf16', threads: 1 });
    expect(sameBits(await latentsOf(single), expected)).toBe(true);
    await single.dispose();
  });

  test('takes the memory that is planned', async () => {
    const config = JSON.stringify(rounded.unet.config);
    const size = { batch: 2, height: 8, width: 8, contextLength: 77 };
    const plan = (dtype: string) => native().planUnet(config, { ...size, dtype }).promise;
    expect((await plan('bf16')).weightBytes).toBe(rounded.unet.memory().weights);
    expect((await plan('fp32')).weightBytes).toBe(exact.unet.memory().weights);
  });

  test('nothing is left of adapters that go', async () => {
    const folder = new AdapterFolder();
    try {
      const name = 'down_blocks.0.resnets.0.conv1';
      const shape = rounded.unet.weightShapes().find((tensor) => tensor.name === `${name}.weight`)?.shape;
      const [rows = 0, ...inner] = shape ?? [];
      const path = folder.write('one.safetensors', {
        [`unet.${name}.lora_A.weight`]: values([2, ...inner], 1),
        [`unet.${name}.lora_B.weight`]: values([rows, 2, 1, 1], 2),
      });
      const before = await latentsOf(rounded);
      await rounded.loadLora(path);
      const changed = await latentsOf(rounded);
      expect(distance(changed, before)).toBeGreaterThan(1e-2);
      await exact.loadLora(path);
      expect(distance(changed, await latentsOf(exact))).toBeLessThan(0.1);
      await rounded.unloadLora();
      expect(sameBits(await latentsOf(rounded), before)).toBe(true);
    } finally {
      await exact.unloadLora();
      folder.remove();
    }
  });

  test('processors without instructions for it say so', async () => {
    const { isa } = openBackend({ device: 'cpu', dtype: 'bf16' });
    const said: string[] = [];
    const pipe = await loadTiny({ dtype: 'bf16', log: (text) => said.push(text) });
    await pipe.dispose();
    const has = ['amx', 'avx512_bf16', 'neon_bf16'].includes(isa);
    expect(said.filter((text) => /no instructions for bf16/.test(text))).toHaveLength(has ? 0 : 1);
  });
});
