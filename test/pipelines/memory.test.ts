import { expect, test } from '@jest/globals';
import { estimateMemory } from '../../lib/pipelines/memory.js';
import { loadTiny } from './tiny.js';

test('the autoencoder needs as much for many images as for one', async () => {
  await using pipe = await loadTiny();
  const need = (batch: number) =>
    estimateMemory(
      pipe,
      { batch, height: 32, width: 32, contextLength: 77 },
      { encodes: true, decodes: true, tiling: undefined },
    );
  expect(need(8).vae).toBe(need(1).vae);
  expect(need(8).unet).toBeGreaterThan(need(1).unet);
});
