import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { NativeUnet } from '../../lib/native/types.js';
import {
  type GuidanceRule,
  type ModelCall,
  runTableAsync,
  type StepTable,
} from '../../lib/schedulers/index.js';
import { loadUnet, maxError, noise, row } from './tiny-model.js';

// Rules of guidance in a run, against the reference interpreter.

const [SIDE, BATCH, LENGTH, WIDTH] = [8, 2, 7, 32];
const SAMPLE = 4 * SIDE * SIDE;

let unet: NativeUnet;
beforeAll(async () => {
  unet = await loadUnet();
});
afterAll(() => unet.dispose());

const latents = noise(BATCH * SAMPLE);
const contextOf = (outputs: number) => noise(outputs * BATCH * LENGTH * WIDTH, 4);
const context = contextOf(2);
const size = { batch: BATCH, height: SIDE, width: SIDE };

/** The U-Net as the interpreter calls it, for so many outputs of a sample. */
const callFor =
  (outputs: number) =>
  async ({ input, timestep }: ModelCall<Float32Array>) => {
    const each = Array.from({ length: outputs }, () => 0);
    const request = {
      ...size,
      batch: outputs * BATCH,
      sample: Float32Array.from(each.flatMap(() => [...input])),
      timesteps: each.flatMap(() => [...timestep]),
      context: contextOf(outputs),
      contextLength: LENGTH,
    };
    return (await unet.forward(request).promise).out;
  };

const RULES: readonly GuidanceRule[] = [
  { kind: 'zeroStar' },
  { kind: 'projected', eta: 0.25, limit: 3, momentum: -0.5, average: 's3' },
  { kind: 'averaging', momentum: 0.5, average: 's3' },
  { kind: 'tangential' },
  { kind: 'magnitude', alpha: 2 },
];

const CASES = RULES.flatMap((rule) => [2 as const, 3 as const].map((outputs) => ({ ...rule, outputs })));

test.each(CASES)('$kind of $outputs outputs', async ({ outputs, ...rule }) => {
  for (const fromConditional of [false, true]) {
    const third = outputs === 3 && { third: [1.5, 0.5] };
    const guidance = { scale: [5, 2], ...third, rescale: [0, 0.5], rule: { ...rule, fromConditional } };
    const table: StepTable = {
      programs: [{ kind: 'full' }],
      rows: [0, 1, 2].map((i) => row(i, { guidance })),
    };
    const model = callFor(outputs);
    const expected = await runTableAsync(table, { x: latents, batch: BATCH, outputs, model });
    const request = { ...size, outputs, table, latents, context: contextOf(outputs), contextLength: LENGTH };
    const result = await unet.denoise(request).promise;
    expect(maxError(result.latents, expected)).toBeLessThan(1e-4);
  }
});

test('zero gives nothing', async () => {
  const guidance = { scale: 3, rescale: 0, rule: { kind: 'zero' as const } };
  const table: StepTable = { programs: [{ kind: 'full' }], rows: [row(0, { guidance })] };
  const request = { ...size, outputs: 2 as const, table, latents, context, contextLength: LENGTH };
  const other = await unet.denoise({ ...request, context: noise(context.length, 9) }).promise;
  expect((await unet.denoise(request).promise).latents).toEqual(other.latents);
});

test('perturbed samples are those of the last output', async () => {
  const forward = async (perturbed?: number[]) =>
    (
      await unet.forward({
        ...size,
        sample: latents,
        timesteps: [500],
        context: context.subarray(0, BATCH * LENGTH * WIDTH),
        contextLength: LENGTH,
        ...(perturbed && { perturbed }),
      }).promise
    ).out;
  const [plain, perturbed] = [await forward(), await forward([1, 0])];
  expect(maxError(perturbed, plain)).toBeGreaterThan(1e-4);
  // The last of two outputs of a run, which the row takes alone.
  const table: StepTable = {
    programs: [{ kind: 'full' }],
    rows: [
      {
        ...row(0),
        timestep: 500,
        inputScale: 1,
        guidance: { scale: 1, rescale: 0 },
        x0: { x: 0, m: 1 },
        assign: [{ to: 'x', terms: [{ slot: 'm', coefficient: 1 }] }],
      },
    ],
  };
  const half = context.subarray(0, BATCH * LENGTH * WIDTH);
  const twice = Float32Array.from([...half, ...half]);
  const request = { ...size, table, latents, context: twice, contextLength: LENGTH, perturbed: [0, 1] };
  const { latents: out } = await unet.denoise({ ...request, outputs: 2 as const }).promise;
  expect(maxError(out, perturbed)).toBeLessThan(1e-5);
  expect(() => unet.forward({ ...request, sample: latents, timesteps: [1], perturbed: [99] })).toThrow(
    'perturbed',
  );
});
