import { expect, test } from '@jest/globals';
import { estimateMemory } from '../../lib/pipelines/loop/memory.js';
import { loadTiny } from './tiny.js';

test('the autoencoder needs as much for many images as for one', async () => {
  await using pipe = await loadTiny();
  const need = (batch: number) =>
    estimateMemory(
      pipe,
      { batch, height: 32, width: 32, contextLength: 77 },
      { encodes: true, decodes: true, tiling: undefined, signal: undefined },
    );
  const [one, eight] = [await need(1), await need(8)];
  expect(eight.vae).toBe(one.vae);
  expect(eight.unet).toBeGreaterThan(one.unet);
});
