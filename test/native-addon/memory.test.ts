import { describe, expect, test } from '@jest/globals';
import { native } from '../../lib/native/binding.js';
import { concat } from '../../lib/tensor.js';
import { backend, codeOf, denoiseRequest, loadUnet, noise, row, source } from './tiny-model.js';

const OUT_OF_MEMORY = 'ERR_DEEPCACHE_OUT_OF_MEMORY';

/** Nearly all that there is; other programs take and give some meanwhile. */
const most = () => Math.floor(backend.availableMemory() * 0.9);

describe('memory that was promised to a run', () => {
  test('only a function is called within a reservation', () => {
    const reservation = backend.reserve(1);
    for (const bad of [undefined, 5, {}, class {}]) {
      expect(() => reservation?.within(bad as never)).toThrow(/function|class|constructor/i);
    }
    expect(reservation?.within(() => 'result')).toBe('result');
    reservation?.release();
  });

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

describe('noise', () => {
  const { Generator } = native();
  const SAMPLE = 4 * 8 * 8;
  const noisy = (index: number, draw: number) =>
    row(index, {
      noise: draw,
      assign: [
        {
          to: 'x',
          terms: [
            { slot: 'x', coefficient: 0.9 },
            { slot: 'm', coefficient: -0.1 },
            { slot: 'noise', coefficient: 0.2 },
          ],
        },
      ],
    });
  const request = (batch: number, draws: number) => ({
    ...denoiseRequest(1),
    batch,
    latents: noise(batch * SAMPLE, 5),
    context: noise(batch * 77 * 32, 2),
    table: {
      programs: [{ kind: 'full' as const }],
      rows: Array.from({ length: draws }, (_, i) => noisy(i, i)),
    },
  });

  test.each([
    ['one generator', [7n]],
    ['a generator an image', [7n, 8n]],
  ])('of %s is the same, drawn by the run or given to it', async (_, seeds) => {
    const unet = await loadUnet();
    const used = [true, false, false, true, true, true];
    const make = () => seeds.map((seed) => new Generator(seed));
    const drawing = make();
    const draws = used.map(() => {
      if (drawing.length === 1) return drawing[0]?.randn(2 * SAMPLE) as Float32Array;
      return concat(drawing.map((generator) => generator.randn(SAMPLE) as Float32Array));
    });
    const given = concat(draws.filter((_, i) => used[i]));
    const expected = await unet.denoise({ ...request(2, 4), noise: given }).promise;
    const generators = make();
    const job = unet.denoise({ ...request(2, 4), noise: { generators, used } });
    // The run has its own copy.
    for (const generator of generators) generator.seed(0n);
    expect((await job.promise).latents).toEqual(expected.latents);
    unet.dispose();
  });

  test('needs generators of this addon, as many as images', async () => {
    const unet = await loadUnet();
    const bad = (draws: unknown) => codeOf(() => unet.denoise({ ...request(2, 1), noise: draws as never }));
    const generators = [1n, 2n, 3n].map((seed) => new Generator(seed));
    for (const draws of [
      {},
      { generators: [{}], used: [true] },
      { generators: [unet], used: [true] },
      { generators: [], used: [true] },
      { generators, used: [true] },
      { generators: generators.slice(0, 1), used: [1] },
      { generators: generators.slice(0, 1), used: 'yes' },
    ]) {
      expect(await bad(draws)).toBe('ERR_DEEPCACHE_INVALID_ARGUMENT');
    }
    const none = unet.denoise({
      ...request(2, 1),
      noise: { generators: generators.slice(0, 1), used: [false] },
    });
    expect(await codeOf(none.promise)).toBe('ERR_DEEPCACHE_INVALID_ARGUMENT');
    unet.dispose();
  });
});
