import { describe, expect, test } from '@jest/globals';
import { native } from '../../lib/native/binding.js';
import { backend, codeOf, denoiseRequest, loadUnet, source } from './tiny-model.js';

const OUT_OF_MEMORY = 'ERR_DEEPCACHE_OUT_OF_MEMORY';

/** Nearly all that there is; other programs take and give some meanwhile. */
const most = () => Math.floor(backend.availableMemory() * 0.9);

describe('memory that was promised to a run', () => {
  test('is not there for others, and comes back', async () => {
    const first = backend.reserve(most());
    expect(first).not.toBeNull();
    expect(backend.reserve(most() * 4)).toBeNull();
    const available = backend.availableMemory();
    first?.release();
    first?.release();
    expect(backend.availableMemory()).toBeGreaterThan(2 * available);
    expect(backend.reserve(2 ** 50)).toBeNull();
    for (const bad of [-1, 0.5, Number.NaN, '1', undefined]) {
      expect(await codeOf(() => backend.reserve(bad as number))).toBe('ERR_DEEPCACHE_INVALID_ARGUMENT');
    }
  });

  test('is used by the jobs that it starts', async () => {
    const unet = await loadUnet();
    const request = denoiseRequest(1, 96);
    const before = unet.memory().arena;
    await unet.denoise(request).promise;
    expect(unet.memory().arena).toBeGreaterThan(before);
    unet.trim();
    const run = backend.reserve(most());
    const job = run?.within(() => unet.denoise(request));
    expect((await job?.promise)?.latents).toHaveLength(4 * 96 * 96);
    expect(() =>
      run?.within(() => {
        throw new Error('mine');
      }),
    ).toThrow('mine');
    run?.release();
    unet.dispose();
  });

  test('is refused to loads that come too late', async () => {
    const all: (ReturnType<typeof backend.reserve> | null)[] = [];
    // Down to less than the tiny model's weights.
    for (let size = backend.availableMemory(); size > 100_000; size /= 2) {
      for (let next = backend.reserve(Math.floor(size)); next; next = backend.reserve(Math.floor(size)))
        all.push(next);
    }
    const code = await codeOf(native().loadUnet(backend, source('unet')).promise);
    for (const reservation of all) reservation?.release();
    // Another program may have given some back at that very moment.
    expect([OUT_OF_MEMORY, 'none']).toContain(code);
    const unet = await loadUnet();
    unet.dispose();
  });
});
