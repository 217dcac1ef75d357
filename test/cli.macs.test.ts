import { describe, expect, test } from '@jest/globals';
import { runCli } from './cli-run.js';

/**
 * Billions of multiply-accumulates for one sample of the model's own size, in the conventions `repo` (DeepCache's
 * flops.py) and `complete`, counted on the modules of diffusers v0.24.0.
 */
const REFERENCE: Record<
  string,
  { parameters: number; full: [number, number]; branches: [number, number][] }
> = {
  sd15: {
    parameters: 859_520_964,
    full: [338.831618304, 401.63672064],
    branches: [
      [20.715624704, 31.6260352],
      [57.328465664, 90.07153152],
      [98.138232064, 152.71133184],
      [132.727649024, 188.72909824],
      [167.716351744, 226.58105344],
      [208.578390784, 270.30503424],
      [243.236955904, 305.17444608],
      [278.367231744, 340.72969216],
      [315.175229184, 377.96265984],
      [322.937478144, 385.72376064],
      [327.870293504, 390.65534464],
      [332.803108864, 395.58692864],
    ],
  },
  sd21: {
    parameters: 865_910_724,
    full: [760.931140224, 1074.55287296],
    branches: [
      [46.566484864, 101.31980288],
      [128.863161984, 293.14973696],
      [220.602921344, 494.41685504],
      [298.355741824, 579.1612928],
      [376.933587584, 671.73711872],
      [468.726440064, 777.52500224],
      [546.565899904, 856.3122176],
      [625.324397184, 936.97359872],
      [707.857768064, 1021.40985344],
      [725.320778624, 1038.87028224],
      [736.415513984, 1049.96225024],
      [747.510249344, 1061.05421824],
    ],
  },
  sdxl: {
    parameters: 2_567_463_684,
    full: [2989.751375296, 3380.61819904],
    branches: [
      [49.102099776, 49.03911424],
      [128.034478016, 127.89284864],
      [223.754558016, 223.52379904],
      [392.420153536, 435.87698688],
      [592.990819776, 723.84905216],
      [817.054831296, 1035.30921984],
      [1230.974781376, 1477.99343104],
      [1922.067263936, 2226.62754304],
      [2619.870632896, 2981.97254144],
    ],
  },
};

async function macs(...args: string[]) {
  const { code, out, err } = await runCli(['macs', '--json', ...args]);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  return JSON.parse(out);
}

describe('one step', () => {
  test.each(Object.keys(REFERENCE))('%s, every branch, both conventions', async (name) => {
    const { parameters, full, branches } = await macs('--model-name', name);
    const giga = (macs: { repo: number; complete: number }) => [macs.repo / 1e9, macs.complete / 1e9];
    expect(parameters).toBe(REFERENCE[name]?.parameters);
    expect(giga(full)).toEqual(REFERENCE[name]?.full);
    expect(branches.map(giga)).toEqual(REFERENCE[name]?.branches);
    // What is fused away is saved; nothing comes on top.
    expect(full.executed).toBeLessThan(full.complete);
    expect(full.executed).toBeGreaterThan(0.8 * full.complete);
  });

  test('the size, in pixels or in latents', async () => {
    const wide = await macs('--width', '768', '--height', '512');
    expect(wide.size).toEqual({ batch: 1, height: 64, width: 96, contextLength: 77 });
    expect(await macs('--latent-width', '96')).toEqual(wide);
    expect(wide.full.complete).toBeGreaterThan(1.5 * 401.6e9);
    expect((await macs('--batch', '2')).full.complete).toBe(2 * 401_636_720_640);
  });

  test('a U-Net of a folder or a file', async () => {
    const model = 'test/fixtures/sd15-tiny';
    const { full } = await macs(model);
    expect(full.complete).toBeLessThan(1e9);
    expect((await macs(`${model}/unet`)).full).toEqual(full);
    expect((await macs('--config', `${model}/unet/config.json`)).full).toEqual(full);
  });
});

describe('a run', () => {
  test('average, total and share', async () => {
    const { run } = await macs('--steps', '50', '--cache', 'interval=5,branch=2');
    expect(run.full.filter(Boolean)).toHaveLength(10);
    expect(run.total.repo / 1e9).toBeCloseTo(10 * 338.831618304 + 40 * 98.138232064, 6);
    expect(run.average.complete / 1e9).toBeCloseTo((401.63672064 + 4 * 152.71133184) / 5, 6);
    expect(run.share.complete).toBeCloseTo((401.63672064 + 4 * 152.71133184) / 5 / 401.63672064, 9);
  });

  test('as text', async () => {
    const { out } = await runCli(['macs', '--steps', '20', '--cache', 'steps=0+9']);
    expect(out).toMatch(/^full step +338\.832 +401\.637 .* 100\.0 %$/m);
    expect(out).toMatch(/^branch 0 +20\.716 +31\.626 .* 7\.9 % {2}up_blocks\.3\.attentions\.1$/m);
    expect(out).toMatch(/^20 steps: 2 full, 18 cached at branch 0$/m);
    expect(out).toMatch(/^average step +52\.527 /m);
    expect(out).toMatch(/^full steps: 0 9$/m);
  });
});

test.each([
  [['--cache', 'interval=3,branch=12'], 2, /--cache: branch must be a whole number from 0 to 11/],
  [['--cache', 'steps=0+50'], 2, /--cache: steps\[1\] must be a call from 0 to 49/],
  [['--width', '100'], 2, /--width must be a multiple of 8, got 100/],
  [['--width', '0'], 2, /at least 1/],
  [['--width', '64', '--latent-width', '8'], 2, /cannot be used with option '--width/],
  [['--model-name', 'sd3'], 2, /Allowed choices are sd15, sd21-base, sd21, sdxl/],
  [['lib', '--model-name', 'sd15'], 2, /exclude each other/],
  [['lib'], 1, /lib: has neither unet\/config\.json nor config\.json/],
  [['nowhere'], 1, /nowhere: is not a folder/],
  [['--config', 'package.json'], 1, /ERR_DEEPCACHE_INVALID_CONFIG/],
])('%j', async (args, expected, message) => {
  const { code, err } = await runCli(['macs', ...args]);
  expect(err).toMatch(message);
  expect(code).toBe(expected);
});
