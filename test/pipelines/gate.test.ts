import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { CacheSettings, GenerateOptions, StableDiffusionPipeline } from '../../lib/index.js';
import { distance, latentsOf, loadTiny, sameBits } from './tiny.js';

// T-GATE in runs; test/deepcache.gate.test.ts has what each call does, and reference data what comes of it.

let pipe: StableDiffusionPipeline;
beforeAll(async () => {
  pipe = await loadTiny();
});
afterAll(() => pipe.dispose());

const run = (cache: CacheSettings | false, options: Partial<GenerateOptions> = {}) =>
  latentsOf(pipe, { steps: 8, scheduler: 'DDIM', cache, ...options });
/** Instead of the usual seed. */
const seeds = (...list: number[]) => ({ seed: undefined, seeds: list }) as unknown as object;
const refused = (named: string, code = 'ERR_DEEPCACHE_INVALID_ARGUMENT') =>
  expect.objectContaining({ code, message: expect.stringContaining(named) });

test('a gate changes what comes behind it alone, the more the earlier it is', async () => {
  const exact = await run(false);
  expect(sameBits(await run({ interval: 1, gateStep: 8 }), exact)).toBe(true);
  const distances: number[] = [];
  for (const gateStep of [7, 4, 2]) distances.push(distance(await run({ interval: 1, gateStep }), exact));
  expect(distances[0]).toBeGreaterThan(0);
  expect(distances[1]).toBeGreaterThan(distances[0] as number);
  expect(distances[2]).toBeGreaterThan(distances[1] as number);
});

test("what is kept is the run's own: the next one with the same plans has the same bits", async () => {
  const cache = { interval: 2, branch: 1, gateStep: 3, spInterval: 2, fiInterval: 2, warmUp: 1 };
  const first = await run(cache);
  await run(cache, { seed: 9, prompt: 'another' });
  const before = pipe.unet.plansMade;
  expect(sameBits(await run(cache), first)).toBe(true);
  expect(pipe.unet.plansMade).toBe(before);
  expect(distance(first, await run({ interval: 2, branch: 1 }))).toBeGreaterThan(0);
});

test('self attention that is taken is another picture', async () => {
  const crossAlone = await run({ interval: 1, gateStep: 4 });
  for (const more of [{ spInterval: 2 }, { fiInterval: 2 }]) {
    expect(distance(await run({ interval: 1, gateStep: 4, ...more }), crossAlone)).toBeGreaterThan(0);
  }
});

test('several pictures of a batch are those that runs of one make', async () => {
  const cache = { interval: 2, gateStep: 3, spInterval: 2 };
  const both = await run(cache, { prompt: ['a cat', 'a dog'], ...seeds(1, 2) });
  const half = both.length / 2;
  for (const [i, prompt] of ['a cat', 'a dog'].entries()) {
    const one = await run(cache, { prompt, ...seeds(i + 1) });
    expect(distance(one, both.subarray(i * half, (i + 1) * half))).toBeLessThan(1e-4);
  }
});

test('without guidance there is one output before and behind it', async () => {
  const cache = { interval: 1, gateStep: 3 };
  expect(
    distance(await run(cache, { guidanceScale: 1 }), await run(false, { guidanceScale: 1 })),
  ).toBeGreaterThan(0);
});

test('guidance that does not go with it is named', async () => {
  const cache = { interval: 1, gateStep: 4 };
  await expect(run(cache, { pagScale: 3 })).rejects.toEqual(
    refused('cache.gateStep does not go together with pagScale'),
  );
  await expect(run(cache, { sagScale: 1 })).rejects.toEqual(
    refused('cache.gateStep does not go together with sagScale'),
  );
  await expect(run(cache, { cutoffStepIndex: 5 })).rejects.toEqual(refused('together with cutoffStepIndex'));
  const late = { guider: 'apg', guiderOptions: { start: 0.25 } } as const;
  await expect(run(cache, late)).rejects.toEqual(refused('call 0 has none'));
});

test('a step of a table takes nothing that was not kept', async () => {
  const { unet } = pipe;
  const row = { timestep: 5, inputScale: 1, x0: { x: 1, m: 0 }, assign: [] };
  const request = (programs: readonly object[]) => ({
    batch: 1,
    outputs: 2,
    height: 8,
    width: 8,
    context: new Float32Array(2 * 77 * unet.contextWidth),
    contextLength: 77,
    latents: new Float32Array(4 * 8 * 8),
    table: { programs, rows: programs.map((_, program) => ({ ...row, program })) },
  });
  const denoise = async (programs: readonly object[]) =>
    unet.native.denoise(request(programs) as never, () => {}).promise;
  const half = { kind: 'full', halves: 'unconditional' };
  await expect(denoise([{ kind: 'full' }, { ...half, cross: 'kept' }])).rejects.toThrow(
    /row 1: takes outputs/,
  );
  await expect(
    denoise([
      { kind: 'full', self: 'mean' },
      { kind: 'full', self: 'kept' },
    ]),
  ).rejects.toThrow(/row 1: takes outputs/);
  await expect(denoise([{ kind: 'full', cross: 'all' }])).rejects.toThrow(
    /cross must be 'keep', 'mean' or 'kept'/,
  );
  await expect(
    denoise([
      { kind: 'full', cross: 'mean' },
      { ...half, cross: 'kept' },
    ]),
  ).resolves.toBeDefined();
});
