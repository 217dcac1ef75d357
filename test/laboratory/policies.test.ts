import { expect, test } from '@jest/globals';
import { SettingsPolicy } from '../../lib/deepcache/index.js';
import { POLICY_FAMILIES, policiesOf } from '../../lib/laboratory/catalog.js';
import { laidOut } from '../../lib/laboratory/policies/laid-out.js';
import { ridgeWeights } from '../../lib/laboratory/policies/spectrum.js';
import type { LabCall, LabRun, LabSettings } from '../../lib/laboratory/policy.js';
import { policyOf } from '../../lib/laboratory/policy.js';

const values = (...list: number[]) => Float32Array.from(list);
const same = (output: Float32Array) => output;

/**
 * Runs a policy where the model output is its own noise and clean latents, given by the call's number; what is computed
 * is F or C (conditional) or R, what is made up a dot.
 */
async function decided(
  name: string,
  settings: LabSettings,
  {
    calls = 20,
    output = (i) => i,
    latents = (i) => i,
  }: { calls?: number; output?: (i: number) => number; latents?: (i: number) => number } = {},
) {
  const family = POLICY_FAMILIES.find((known) => known.name === name);
  if (!family) throw new Error(`there is no ${name}`);
  const indices = Array.from({ length: calls }, (_, i) => i);
  const { means } = policyOf(family, settings);
  if (!('begin' in means)) throw new Error(`${name} is not stepped through`);
  const decide = means.begin({
    calls,
    timesteps: indices.map((i) => Math.round(999 - (i * 1000) / calls)),
    levels: indices.map((i) => ({ sqrtAlpha: (i + 1) / (calls + 1), sigma: 0.5 })),
    trainSteps: 1000,
    betas: Array(1000).fill(0.01),
    shares: [0.2, 0.5],
  });
  let kinds = '';
  const outputs: number[] = [];
  for (const index of indices) {
    let kind = '.';
    const computed = (letter: string) => async () => {
      kind = letter;
      return { guided: values(output(index)), conditional: values(output(index)) };
    };
    const call: LabCall = {
      ...{ index, latents: values(latents(index)), input: values(latents(index)) },
      inputLevel: { sqrtAlpha: 0.8, sigma: 0.6 },
      full: (halves) => computed(halves === 'conditional' ? 'C' : 'F')(),
      retrieve: computed('R'),
      ...{ toNoise: same, fromNoise: same, toClean: same, fromClean: same },
    };
    outputs.push((await decide(call))[0] as number);
    kinds += kind;
  }
  return { kinds, outputs };
}

test('lists as many full calls as a cost has room for', async () => {
  // 20 calls at 0.2 for a retrieve: 0.2 + 0.8 f = 0.5 leaves 7.5 of them.
  expect((await decided('deepcache-list', { cost: 0.5 })).kinds).toBe(
    'FRFRRFRRFRRFRRFRRFRR'.replace(/F/g, 'F'),
  );
});

test('what a plan says of clean latents and noise is added', async () => {
  const decide = laidOut(new SettingsPolicy({ plan: 'FFP', gamma: [0.5], clean: [0.25], noise: [0.125] }), {
    timesteps: [3, 2, 1],
    levels: Array(3).fill({ sqrtAlpha: 0.8, sigma: 0.6 }),
    shares: [0.2],
  } as unknown as LabRun);
  const full = async (value: number) => ({ guided: values(value), conditional: values(value) });
  const call = (index: number) => ({
    ...{ index, full: () => full([8, 16][index] as number), toNoise: same, fromNoise: same },
    toClean: (output: Float32Array) => values((output[0] as number) / 4),
  });
  const outputs: number[] = [];
  for (const index of [0, 1, 2]) outputs.push((await decide(call(index) as unknown as LabCall))[0] as number);
  // 16 + (16 - 8) / 2 + 16 / 8 + 4 / 4.
  expect(outputs).toEqual([8, 16, 23]);
});

test('what a plan says of the change of the change is added, from the third full call on', async () => {
  const cache = { plan: 'FFPFP', gamma: [0, 0.5], curve: [9, 0.25] };
  const decide = laidOut(new SettingsPolicy(cache), {
    timesteps: [5, 4, 3, 2, 1],
    levels: Array(5).fill({ sqrtAlpha: 0.8, sigma: 0.6 }),
    shares: [0.2],
  } as unknown as LabRun);
  const full = async (value: number) => ({ guided: values(value), conditional: values(value) });
  const outputs: number[] = [];
  for (const index of [0, 1, 2, 3, 4]) {
    const call = {
      ...{ index, full: () => full([8, 16, 0, 40][index] as number) },
      ...{ toNoise: same, fromNoise: same, toClean: same },
    };
    outputs.push((await decide(call as unknown as LabCall))[0] as number);
  }
  // 40 + (40 - 16) / 2 + (40 - 2 * 16 + 8) / 4.
  expect(outputs).toEqual([8, 16, 16, 40, 56]);
});

test('guidance is left out behind its interval, and before it', async () => {
  const { kinds } = await decided('guidance-interval', { from: 0.1, to: 0.3 }, { calls: 10 });
  expect(kinds).toBe('CFFCCCCCCC');
});

test('TaylorSeer is exact for polynomials of its order', async () => {
  const line = await decided('taylorseer', { interval: 4, order: 1 }, { output: (i) => 3 * i + 1 });
  expect(line.kinds.slice(0, 12)).toBe('FFF...F...F.');
  for (const [i, output] of line.outputs.entries()) expect(output).toBeCloseTo(3 * i + 1, 4);
  const held = await decided('taylorseer', { interval: 4, order: 0 }, { output: (i) => i });
  expect(held.outputs.slice(0, 8)).toEqual([0, 1, 2, 2, 2, 2, 6, 6]);
});

test('Spectrum fits what its polynomials can, and its windows grow', async () => {
  const places = [-1, -0.7, -0.2, 0.1, 0.5, 0.8];
  const weights = ridgeWeights(places, 0.3, 4, 0);
  const curve = (x: number) => 2 + x - 3 * x ** 3 + x ** 4;
  const fitted = weights.reduce((sum, weight, i) => sum + weight * curve(places[i] as number), 0);
  expect(fitted).toBeCloseTo(curve(0.3), 9);
  expect(weights.every((weight) => Math.abs(weight) < 3)).toBe(true);
  // With a penalty beyond measure nothing counts.
  expect(Math.max(...ridgeWeights(places, 0.3, 4, 1e9).map(Math.abs))).toBeLessThan(1e-6);
  const { kinds } = await decided('spectrum', { flex: 0.75, lambda: 0 }, { calls: 24 });
  expect(kinds).toBe('FFFFF.F.F..F...F....F...');
});

test('ZEUS skips by number: first 2 e0 - e1, then e0', async () => {
  const { kinds, outputs } = await decided('zeus', { lagrangeFrom: 1 }, { calls: 20, output: (i) => i * i });
  // From call 4 to 18 of 20: those behind a call whose number leaves 0 or 1 when divided by 3.
  for (let i = 5; i < 18; i++) expect(kinds[i] === 'F').toBe((i - 1) % 3 === 2);
  const [first, second] = [kinds.indexOf('..', 6), kinds.indexOf('..', 6) + 1];
  const [last, before] = [first - 1, kinds.lastIndexOf('F', first - 2)];
  expect(outputs[first]).toBe(2 * last ** 2 - before ** 2);
  expect(outputs[second]).toBe(last ** 2);
});

test('the late part of ZEUS lies on the polynomial through every fourth call', async () => {
  const cubic = (i: number) => i ** 3 - 4 * i;
  const { kinds, outputs } = await decided(
    'zeus',
    { from: 0.45, lagrangeFrom: 0.6 },
    { calls: 30, output: cubic },
  );
  expect(kinds).toContain('...F...F');
  for (let i = 17; i < 27; i++) expect(outputs[i]).toBeCloseTo(cubic(i), 0);
});

test('AdaptiveDiffusion skips while latents change evenly, so many at most', async () => {
  const even = await decided('adaptive-diffusion', { maxSkips: 3 }, { calls: 16, latents: (i) => i });
  expect(even.kinds.slice(0, 4)).toBe('FFFF');
  expect(even.kinds).toMatch(/^F{4}\.{3,5}F(\.{3}F)+/);
  const uneven = await decided('adaptive-diffusion', {}, { latents: (i) => 2 ** i });
  expect(uneven.kinds).toBe('F'.repeat(20));
});

test('EasyCache holds output less input while expected changes stay below the threshold', async () => {
  const latents = (i: number) => 1 + 0.01 * i;
  const run = (threshold: number) =>
    decided('easycache', { threshold }, { latents, output: (i) => 10 + 0.02 * i });
  expect((await run(0)).kinds).toBe('F'.repeat(20));
  const { kinds, outputs } = await run(0.01);
  expect(kinds).toMatch(/^F{4}F?\.+F/);
  const skipped = kinds.indexOf('.');
  expect(outputs[skipped]).toBeCloseTo(10 + 0.02 * (skipped - 1) + 0.01, 5);
  // From its end on everything is computed.
  expect(kinds.at(-1)).toBe('F');
});

test('a threshold of ucache is of the first output', async () => {
  const latents = (i: number) => 1 + 0.01 * i;
  const run = (threshold: number, size: number) =>
    decided('ucache', { threshold }, { latents, output: (i) => size * (10 + 0.02 * i) });
  const skips = ({ kinds }: { kinds: string }) => kinds.split('.').length - 1;
  expect(skips(await run(0.001, 1))).toBeLessThan(skips(await run(0.001, 10)));
});

test('SADA skips where the path bends back to its extrapolation', async () => {
  // Gradients of a straight line have no second difference: the product is 0, which skips.
  const straight = await decided(
    'sada',
    { lagrangeFrom: 1, maxSkips: 2 },
    { output: () => 0, latents: () => 0 },
  );
  expect(straight.kinds).toBe('FFFFF..F..F..F..F..F');
});

test('lists name policies, fronts and settings', () => {
  expect(policiesOf('easycache:threshold=0.3,zeus:denominator=4:of=output').map(({ name }) => name)).toEqual([
    'easycache threshold=0.3',
    'zeus denominator=4 of=output',
  ]);
  expect(policiesOf('taylorseer,taylorseer:interval=2').map(({ name }) => name)).toHaveLength(8);
  expect(() => policiesOf('zeuss')).toThrow("did you mean 'zeus'");
  expect(() => policiesOf('zeus:of')).not.toThrow();
  expect(() => policiesOf('easycache:limit=1')).toThrow('threshold, start, end');
  expect(() => policiesOf('easycache:threshold=much')).toThrow('must be a number');
});
