import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { NativeUnet } from '../../lib/native/types.js';
import { type ModelCall, runTableAsync, type StepTable } from '../../lib/schedulers/index.js';
import { loadUnet, maxError, noise, row } from './tiny-model.js';

// Guidance of three outputs of each sample, and rows that compute some of them, against the reference interpreter.

const [SIDE, BATCH, LENGTH, WIDTH] = [8, 2, 7, 32];
const SAMPLE = 4 * SIDE * SIDE;

let unet: NativeUnet;
beforeAll(async () => {
  unet = await loadUnet();
});
afterAll(() => unet.dispose());

const latents = noise(BATCH * SAMPLE);
const context = noise(3 * BATCH * LENGTH * WIDTH, 4);
const PARTS = { all: [0, 3], both: [0, 2], conditional: [1, 2], unconditional: [0, 1] } as const;

/** The interpreter's model: all outputs always, as their features are needed later. */
async function callUnet({ input, timestep, program, halves }: ModelCall<Float32Array>) {
  const { out } = await unet.forward({
    batch: 3 * BATCH,
    height: SIDE,
    width: SIDE,
    sample: Float32Array.from([...input, ...input, ...input]),
    timesteps: [...timestep, ...timestep, ...timestep],
    context,
    contextLength: LENGTH,
    ...(program.kind === 'retrieve' ? { retrieve: 2 } : { features: [2] }),
  }).promise;
  const [first, end] = PARTS[halves];
  return out.subarray(first * BATCH * SAMPLE, end * BATCH * SAMPLE);
}

const third = { scale: [5, 2], third: [-1.5, 0.25], rescale: [0, 0.5] };
const both = { scale: 3, rescale: 0 };
const table: StepTable = {
  programs: [
    { kind: 'full' },
    { kind: 'retrieve', branch: 2 },
    { kind: 'retrieve', branch: 2, halves: 'both' },
    { kind: 'full', halves: 'both' },
    { kind: 'retrieve', branch: 2, halves: 'conditional' },
    { kind: 'full', halves: 'unconditional' },
  ],
  rows: [
    row(0, { guidance: third }),
    row(1, { program: 1, guidance: third }),
    row(2, { program: 2, guidance: both }),
    row(3, { program: 3, guidance: both }),
    row(4, { program: 4 }),
    row(5, { program: 5 }),
  ],
};

test('three outputs, the first two, and one of them', async () => {
  const expected = await runTableAsync(table, { x: latents, batch: BATCH, outputs: 3, model: callUnet });
  const size = { batch: BATCH, height: SIDE, width: SIDE };
  const request = { ...size, outputs: 3 as const, table, latents, context, contextLength: LENGTH };
  const result = await unet.denoise(request).promise;
  expect(maxError(result.latents, expected)).toBeLessThan(1e-5);
});

test('a third output needs a run that has three, and a program that computes it', async () => {
  const size = { batch: 1, height: SIDE, width: SIDE, contextLength: LENGTH };
  const run = (outputs: 2 | 3, program: number) => {
    const rows = [row(0, { program, guidance: { scale: 2, third: 1, rescale: 0 } })];
    const given = {
      table: { ...table, rows },
      latents: noise(SAMPLE),
      context: noise(outputs * LENGTH * WIDTH),
    };
    return unet.denoise({ ...size, ...given, outputs }).promise;
  };
  await expect(run(2, 0)).rejects.toThrow('row 0: guidance needs a third output');
  await expect(run(3, 3)).rejects.toThrow(
    'row 0: guidance by a third output needs a program that computes all outputs',
  );
});
