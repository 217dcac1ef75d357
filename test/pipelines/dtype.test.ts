import { expect, test } from '@jest/globals';
import { distance, latentsOf, loadTiny } from './tiny.js';

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
