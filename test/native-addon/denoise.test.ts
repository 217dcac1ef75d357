import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { NativeStep, NativeUnet } from '../../lib/native/types.js';
import {
  type Halves,
  isCall,
  type ModelCall,
  type PerSample,
  type RowState,
  runTableAsync,
  type Slot,
  type StepRow,
  type StepTable,
  type Term,
} from '../../lib/schedulers/index.js';
import { denoiseRequest, loadUnet, maxError, noise, row } from './tiny-model.js';

// A run in one job against the reference interpreter, which calls the same U-Net pass by pass.

const [SIDE, BATCH, LENGTH, WIDTH] = [8, 2, 7, 32];
const SAMPLE = 4 * SIDE * SIDE;

let unet: NativeUnet;
beforeAll(async () => {
  unet = await loadUnet();
});
afterAll(() => unet.dispose());

const latents = noise(BATCH * SAMPLE);
const draws = noise(3 * BATCH * SAMPLE, 3);
const negative = noise(BATCH * LENGTH * WIDTH, 4);
const positive = noise(BATCH * LENGTH * WIDTH, 5);
const mask = noise(BATCH * SIDE * SIDE, 6).map((value) => (value > 0 ? 1 : 0));
const init = noise(BATCH * SAMPLE, 7);
const initNoise = noise(BATCH * SAMPLE, 8);

const twice = (values: Float32Array) => Float32Array.from([...values, ...values]);
const context = Float32Array.from([...negative, ...positive]);
const branches = (table: StepTable) =>
  table.programs.flatMap(({ kind, branch }) => (kind === 'retrieve' ? [branch as number] : []));

/** The interpreter's model: both halves always, as the features of both are needed later. */
async function callUnet(table: StepTable, call: ModelCall<Float32Array>): Promise<Float32Array> {
  const { kind, branch } = call.program;
  const { out } = await unet.forward({
    batch: 2 * BATCH,
    height: SIDE,
    width: SIDE,
    sample: twice(call.input),
    timesteps: [...call.timestep, ...call.timestep],
    context,
    contextLength: LENGTH,
    ...(kind === 'retrieve' ? { retrieve: branch as number } : { features: branches(table) }),
  }).promise;
  if (call.halves === 'both') return out;
  return call.halves === 'conditional' ? out.subarray(BATCH * SAMPLE) : out.subarray(0, BATCH * SAMPLE);
}

const request = (table: StepTable) => ({
  batch: BATCH,
  outputs: 2 as const,
  height: SIDE,
  width: SIDE,
  table,
  latents,
  context,
  contextLength: LENGTH,
});

const guidance = { scale: 5, rescale: 0 };
const keep = (to: 's1' | 's2') => ({ to, terms: [{ slot: 'm' as const, coefficient: 1 }] });
/** A row that runs no U-Net. */
const predicted = (index: number, sum: Partial<Record<Slot, PerSample>>): StepRow => {
  const { program: _, ...rest } = row(index);
  const terms = Object.entries(sum) as [Slot, PerSample][];
  return { ...rest, predict: terms.map(([slot, coefficient]) => ({ slot, coefficient })) };
};
const tables: Record<string, StepTable> = {
  'guidance with rescale': {
    programs: [{ kind: 'full' }],
    rows: [0, 1, 2].map((i) => row(i, { guidance: { scale: [7.5, 3], rescale: [0.7, 0] } })),
  },
  'retrieve steps of two branches': {
    programs: [{ kind: 'full' }, { kind: 'retrieve', branch: 0 }, { kind: 'retrieve', branch: 4 }],
    rows: [0, 1, 2, 0, 2].map((program, i) => row(i, { program, guidance })),
  },
  'guidance that ends early': {
    programs: [
      { kind: 'full' },
      { kind: 'retrieve', branch: 2 },
      { kind: 'full', halves: 'conditional' },
      { kind: 'retrieve', branch: 2, halves: 'conditional' },
    ],
    rows: [
      row(0, { guidance }),
      row(1, { program: 1, guidance }),
      row(2, { program: 3 }),
      row(3, { program: 2 }),
      row(4, { program: 3 }),
    ],
  },
  'single halves and predictions, with what earlier rows left': {
    programs: [
      { kind: 'full' },
      { kind: 'retrieve', branch: 2, halves: 'unconditional' },
      { kind: 'retrieve', branch: 2, halves: 'conditional' },
      { kind: 'full', halves: 'unconditional' },
    ],
    rows: [
      row(0, { guidance, assign: [...row(0).assign, keep('s1')] }),
      row(1, { program: 1 }),
      row(2, { program: 2, assign: [...row(0).assign, keep('s2')] }),
      predicted(3, { x: 0.125, m: -0.5, x0: 0.25, s1: [0.5, -0.25], s2: 1 }),
      predicted(4, { m: 0.75 }),
      row(5, { program: 3 }),
      row(6, { program: 1 }),
    ],
  },
  'per-sample numbers, history, noise and clamping': {
    programs: [{ kind: 'full' }],
    rows: [0, 1, 2].map((i) =>
      row(i, {
        guidance,
        timestep: [900 - i, 400.5 - i],
        inputScale: [1, 0.5],
        noise: [i, 2 - i],
        x0: { x: [1, 0.9], m: [-0.5, -0.25], clamp: 1.5 },
        assign: [
          {
            to: 's3',
            terms: [
              { slot: 'x0', coefficient: [0.5, 1] },
              { slot: 's3', coefficient: 0.5 },
            ],
          },
          {
            to: 'x',
            terms: [
              { slot: 's3', coefficient: 1 },
              { slot: 'noise', coefficient: [0.1, 0.2] },
            ],
          },
        ],
      }),
    ),
  },
  'dynamic thresholding and a masked blend': {
    programs: [{ kind: 'full' }],
    rows: [0, 1].map((i) =>
      row(i, {
        guidance,
        x0: { x: 1, m: -1, threshold: { ratio: 0.9, max: 2 } },
        assign: [{ to: 'x', terms: [{ slot: 'x0', coefficient: 1 }] }],
        blend: { init: 0.8, noise: [0.6, 0.1] },
      }),
    ),
  },
};

/** The noise of a draw, by itself. */
const noised = (index: number): StepRow => {
  const { program: _, ...rest } = row(index);
  const sum = { x: [0.9, 0.75], noise: [0.4, 0.6] } as const;
  const terms = Object.entries(sum) as [Slot, PerSample][];
  const assign = [{ to: 'x' as const, terms: terms.map(([slot, coefficient]) => ({ slot, coefficient })) }];
  return { ...rest, assign, noise: [index % 3, 1] };
};
tables['rows that stand for no call, and a blend with the draw of the row'] = {
  programs: [{ kind: 'full' }, { kind: 'retrieve', branch: 2 }],
  rows: [
    noised(0),
    row(1, { guidance, noise: 1, blend: { init: 0.8, noise: [0.6, 0.1], redrawn: true } }),
    noised(2),
    noised(1),
    row(4, { program: 1, guidance, noise: [2, 0], blend: { init: 0.5, noise: 0.3, redrawn: true } }),
    predicted(5, { x: 0.25, m: 0.5 }),
    noised(0),
    row(7, { guidance }),
  ],
};

const adaptive = (threshold: number, instead: { program: number } | { predict: Term[] }): StepTable => ({
  programs: [{ kind: 'full' }, { kind: 'retrieve', branch: 2 }],
  rows: [0, 1, 2, 3, 4, 5, 6].map((i) => {
    const skip = { threshold, maxSkips: 2 };
    if (i === 0) return row(i, { guidance, assign: [...row(0).assign, keep('s1')] });
    return 'program' in instead
      ? row(i, { guidance, inputScale: [1, 0.9], skip: { ...skip, ...instead } })
      : row(i, { guidance, inputScale: [1, 0.9], skip, ...instead });
  }),
});
const guess: Term[] = [
  { slot: 'm', coefficient: 0.75 },
  { slot: 's1', coefficient: 0.25 },
];
for (const threshold of [0, 0.26, Number.POSITIVE_INFINITY]) {
  tables[`skipping below ${threshold}, to a retrieve step`] = adaptive(threshold, { program: 1 });
  tables[`skipping below ${threshold}, to a prediction`] = adaptive(threshold, { predict: guess });
}

describe('denoise executes the step table', () => {
  test.each(Object.keys(tables))('%s', async (name) => {
    const table = tables[name] as StepTable;
    const expected: Pick<RowState<Float32Array>, 'x' | 'x0' | 'program' | 'change'>[] = [];
    const final = await runTableAsync(table, {
      x: latents,
      batch: BATCH,
      model: (call) => callUnet(table, call),
      noise: (index) => draws.subarray(index * BATCH * SAMPLE, (index + 1) * BATCH * SAMPLE),
      mask: latents.map((_, i) => mask[Math.floor(i / SAMPLE) * SIDE * SIDE + (i % (SIDE * SIDE))] as number),
      initLatents: init,
      noise0: initNoise,
      onRow: (state) => expected.push({ ...state, x: state.x.slice(), x0: state.x0.slice() }),
    });

    const steps: NativeStep[] = [];
    const result = await unet.denoise(
      { ...request(table), noise: draws, mask, init, initNoise, previewEvery: 2, latentsEvery: 1 },
      (step) => steps.push(step),
    ).promise;
    expect(maxError(result.latents, final)).toBeLessThan(1e-4);
    expect(maxError(result.latents, latents)).toBeGreaterThan(0.1);
    const rows = [...table.rows.keys()].filter((i) => isCall(table.rows[i] as StepRow));
    expect(steps.map((step) => step.row)).toEqual(rows);
    for (const [call, step] of steps.entries()) {
      const { x, x0, program, change } = expected[step.row] as (typeof expected)[number];
      expect(maxError(step.x as Float32Array, x)).toBeLessThan(1e-4);
      if (call % 2 === 0) expect(step.x0).toBeUndefined();
      else expect(maxError(step.x0 as Float32Array, x0)).toBeLessThan(1e-4);
      expect(result.rowMilliseconds[step.row]).toBe(step.milliseconds);
      expect(step.milliseconds).toBeGreaterThan(0);
      expect([step.program, result.rowPrograms[step.row]]).toEqual([program, program]);
      expect(result.rowChanges[step.row]).toBe(step.change);
      if (change === undefined) expect(step.change).toBeUndefined();
      else expect(step.change).toBeCloseTo(change, 5);
    }
    expect(result.rowPrograms).toHaveLength(table.rows.length);
    expect(result.prepareMilliseconds).toBeGreaterThan(0);
  });
});

test('what ran is told: no call, some or as many as may be are skipped', async () => {
  const programs = async (name: string) => {
    const table = tables[name] as StepTable;
    return (await unet.denoise(request(table)).promise).rowPrograms;
  };
  expect(await programs('skipping below 0, to a retrieve step')).toEqual([0, 0, 0, 0, 0, 0, 0]);
  expect(await programs('skipping below Infinity, to a retrieve step')).toEqual([0, 1, 1, 0, 1, 1, 0]);
  const no = undefined;
  expect(await programs('skipping below Infinity, to a prediction')).toEqual([0, no, no, 0, no, no, 0]);
  const some = (await programs('skipping below 0.26, to a retrieve step')).filter((program) => program === 1);
  expect(some.length).toBeGreaterThan(0);
  expect(some.length).toBeLessThan(4);
});

test('one half: programs of a half mean the same', async () => {
  const table = (halves: Halves): StepTable => ({
    programs: [
      { kind: 'full', halves },
      { kind: 'retrieve', branch: 1, halves },
    ],
    rows: [row(0), row(1, { program: 1 })],
  });
  const two = { ...denoiseRequest(1), batch: 2, latents, context: negative, contextLength: LENGTH };
  const plain = await unet.denoise({ ...two, table: table('both') }).promise;
  for (const halves of ['conditional', 'unconditional'] as const) {
    const half = await unet.denoise({ ...two, table: table(halves) }).promise;
    expect(half.latents).toEqual(plain.latents);
  }
});

test('a run is the same whatever ran before on the model', async () => {
  const table = tables['retrieve steps of two branches'] as StepTable;
  const first = await unet.denoise(request(table)).promise;
  await unet.denoise(denoiseRequest(9, 16)).promise;
  const other = { ...request(table), latents: noise(BATCH * SAMPLE, 99) };
  await unet.denoise(other).promise;
  expect((await unet.denoise(request(table)).promise).latents).toEqual(first.latents);
});
