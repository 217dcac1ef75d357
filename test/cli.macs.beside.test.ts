import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { UNET_CONFIGS } from '../lib/configs/unets.js';
import { runCli } from './cli-run.js';

// Networks beside the U-Net of Stable Diffusion 1.5, by their configurations.

let folder: string;
let net: string;
let adapter: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'deepcache-macs-'));
  net = join(folder, 'canny.json');
  const { up_block_types: _, out_channels: __, ...encoder } = UNET_CONFIGS.sd15 as Record<string, unknown>;
  writeFileSync(net, JSON.stringify({ ...encoder, _class_name: 'ControlNetModel' }));
  adapter = join(folder, 'sketch.json');
  writeFileSync(
    adapter,
    JSON.stringify({ _class_name: 'T2IAdapter', in_channels: 3, channels: [320, 640, 1280, 1280] }),
  );
});
afterAll(() => rmSync(folder, { recursive: true }));

async function macs(...args: string[]) {
  const { code, out, err } = await runCli(['macs', '--json', ...args]);
  expect(err).toBe('');
  expect(code).toBe(0);
  return JSON.parse(out);
}

test('a ControlNet runs in full calls, and live in the others up to what they need', async () => {
  const cache = ['--steps', '6', '--cache', 'interval=3,branch=0', '--control-net', net];
  const held = await macs(...cache);
  const [{ name, plan }] = held.controlNets;
  expect(name).toBe('canny');
  // That of the published ones (lllyasviel/sd-controlnet-canny).
  expect(plan.parameters).toBe(361_279_120);
  const whole = held.full.complete + plan.full.complete;
  const cached = held.branches[0].complete;
  expect(held.run.total.complete).toBeCloseTo(2 * whole + 4 * cached, -3);
  expect(held.run.share.complete).toBeCloseTo((2 * whole + 4 * cached) / (6 * whole), 9);
  const live = await macs(...cache, '--control-cache', 'live');
  const more = live.run.total.executed - held.run.total.executed;
  expect(more).toBeCloseTo(4 * plan.branches[0].executed, -3);
  expect(plan.branches[0].executed).toBeLessThan(plan.branches[1].executed);
  expect(plan.branches[11].executed).toBe(plan.full.executed);
  // The picture is looked at once, in the reference at each call.
  expect(plan.full.complete - plan.full.executed).toBeGreaterThan(plan.once.executed * 0.9);
});

test('a T2I-Adapter runs once', async () => {
  const { t2iAdapters, run, full } = await macs(
    '--steps',
    '4',
    '--cache',
    'interval=1',
    '--t2i-adapter',
    adapter,
  );
  const [{ parameters, encode }] = t2iAdapters;
  // conv_in, two blocks of 320, and of 640 and 1280 with the layers that widen: by hand.
  expect(parameters).toBe(77_369_280);
  expect(run.total.complete).toBeCloseTo(4 * full.complete + encode.complete, -3);
  const { out } = await runCli(['macs', '--t2i-adapter', adapter, '--control-net', net]);
  expect(out).toMatch(/^ControlNet canny +/m);
  expect(out).toMatch(/^T2I-Adapter sketch, once +/m);
});

test('what is none is refused', async () => {
  const { code, err } = await runCli(['macs', '--control-net', 'test/fixtures/sd15-tiny/unet']);
  expect(err).toMatch(/not of a ControlNet/);
  expect(code).toBe(1);
});
