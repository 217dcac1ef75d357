import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { NativeUnet } from '../../lib/native/types.js';
import type { StepRow, StepTable } from '../../lib/schedulers/table.js';
import { codeOf, denoiseRequest, loadUnet, maxError, row } from './tiny-model.js';

// Retrieve steps that forecast their feature, against passes of the U-Net on the features themselves.

let unet: NativeUnet;
beforeAll(async () => {
  unet = await loadUnet();
});
afterAll(() => unet.dispose());

const BRANCH = 1;
const TIMESTEPS = [900, 890, 880];

/** Two full calls and a retrieve step; x becomes the model's output after the last. */
function table(last: Partial<StepRow>): StepTable {
  const out = { to: 'x' as const, terms: [{ slot: 'm' as const, coefficient: 1 }] };
  return {
    programs: [{ kind: 'full' }, { kind: 'retrieve', branch: BRANCH }],
    rows: [row(0), row(1), row(2, { program: 1, assign: [out], ...last })],
  };
}

/** What the last call gives, and the inputs of the three. */
async function run(last: Partial<StepRow> = {}) {
  const request = { ...denoiseRequest(3), table: table(last) };
  const inputs = [request.latents];
  const { latents } = await unet.denoise({ ...request, latentsEvery: 1 }, ({ x }) =>
    inputs.push(x as Float32Array),
  ).promise;
  return { out: latents, inputs };
}

/** A retrieve step with the feature of one of the full calls. */
async function retrieved(inputs: readonly Float32Array[], full: number): Promise<Float32Array> {
  const { batch, height, width, context, contextLength } = denoiseRequest(1);
  const pass = (call: number) => ({
    ...{ batch, height, width, context, contextLength },
    sample: inputs[call] as Float32Array,
    timesteps: [TIMESTEPS[call] as number],
  });
  await unet.forward({ ...pass(full), features: [BRANCH] }).promise;
  return (await unet.forward({ ...pass(2), retrieve: BRANCH }).promise).out;
}

describe('the feature of a retrieve step', () => {
  test('is the last one with a factor of 0, bit for bit', async () => {
    const held = await run();
    expect(held.out).toEqual(await retrieved(held.inputs, 1));
    expect((await run({ featureGamma: 0 })).out).toEqual(held.out);
  });

  test('is the one before with -1', async () => {
    const back = await run({ featureGamma: -1 });
    const before = await retrieved(back.inputs, 0);
    expect(maxError(back.out, before)).toBeLessThan(1e-5);
    expect(maxError((await run()).out, before)).toBeGreaterThan(1e-3);
  });

  test('goes on with factors between and beyond', async () => {
    const outs = [];
    for (const featureGamma of [-1, 0, 0.01]) outs.push((await run({ featureGamma })).out);
    const [before, held, beyond] = outs as [Float32Array, Float32Array, Float32Array];
    // Away from the one before: the output is nearly linear so close to the last one.
    const along = held.reduce(
      (sum, value, i) => sum + (value - (before[i] as number)) * ((beyond[i] as number) - value),
      0,
    );
    expect(along).toBeGreaterThan(0);
  });
});

test('a forecast needs a retrieve step', async () => {
  const bad = table({ program: 0, featureGamma: 0.5 });
  expect(await codeOf(unet.denoise({ ...denoiseRequest(3), table: bad }).promise)).toBe(
    'ERR_DEEPCACHE_INVALID_ARGUMENT',
  );
});
