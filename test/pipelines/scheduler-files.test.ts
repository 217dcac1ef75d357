import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { DiffusionPipeline, type LoadOptions, type StableDiffusionPipeline } from '../../lib/index.js';
import { runCli } from '../cli-run.js';
import { copyModel } from './broken-models.js';
import { latentsOf, rejection, sameBits } from './tiny.js';

// What a model's folder says about its sampler, from the files to the picture.

let folder: string;
let messages: string[];
beforeEach(() => {
  folder = copyModel();
  messages = [];
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function edit(file: string, fields: object): void {
  const path = join(folder, file);
  writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), ...fields }));
}

const SCHEDULER = 'scheduler/scheduler_config.json';

async function load(options: LoadOptions = {}): Promise<DiffusionPipeline> {
  const log = (message: string) => messages.push(message);
  return DiffusionPipeline.fromPretrained(folder, { device: 'cpu', log, ...options });
}

async function latents(options: LoadOptions = {}): Promise<Float32Array> {
  await using pipe = await load(options);
  return await latentsOf(pipe);
}

/** The folder with a sampler of its own. */
function setSampler(className: string, fields: object = {}): void {
  edit('model_index.json', { scheduler: ['diffusers', className] });
  edit(SCHEDULER, { _class_name: className, _diffusers_version: '0.32.2', ...fields });
}

const V = { prediction_type: 'v_prediction', timestep_spacing: 'trailing' };

test.each([
  ['EulerDiscreteScheduler', V, { rescale_betas_zero_snr: true }],
  ['EulerAncestralDiscreteScheduler', V, { rescale_betas_zero_snr: true }],
  ['DPMSolverMultistepScheduler', V, { rescale_betas_zero_snr: true }],
  ['UniPCMultistepScheduler', V, { rescale_betas_zero_snr: true }],
  ['DDPMScheduler', V, { rescale_betas_zero_snr: true }],
  ['EulerDiscreteScheduler', {}, { use_beta_sigmas: true }],
  ['EulerDiscreteScheduler', {}, { use_exponential_sigmas: true }],
  ['EulerDiscreteScheduler', {}, { final_sigmas_type: 'sigma_min' }],
  ['DPMSolverMultistepScheduler', {}, { final_sigmas_type: 'sigma_min' }],
])('%s obeys %j and %j', async (className, base, field) => {
  setSampler(className, base);
  const without = await latents();
  edit(SCHEDULER, field);
  const withIt = await latents();
  expect(sameBits(without, withIt)).toBe(false);
  expect(messages).toEqual([]);
});

test('the class of model_index.json runs, and what its file is lost is told', async () => {
  edit('model_index.json', { scheduler: ['diffusers', 'EulerDiscreteScheduler'] });
  await using pipe = await load();
  expect(pipe.scheduler.className).toBe('EulerDiscreteScheduler');
  expect(messages).toEqual([expect.stringContaining('model_index.json names EulerDiscreteScheduler')]);
});

test('a field that is not obeyed is told when loading and by inspect', async () => {
  setSampler('DPMSolverMultistepScheduler', { use_new_sigmas: true });
  await using _ = await load();
  const told = `${join(folder, SCHEDULER)}: "use_new_sigmas" is ignored: this version does not have it`;
  expect(messages).toEqual([told]);
  const { code, out } = await runCli(['inspect', folder, '--json']);
  expect(JSON.parse(out)).toMatchObject({ scheduler: 'DPMSolverMultistepScheduler', problems: [told] });
  expect(code).toBe(1);
});

test('files of early versions are corrected, which is told when loading and by inspect', async () => {
  edit('unet/config.json', { sample_size: 32, _diffusers_version: '0.6.0' });
  edit(SCHEDULER, { steps_offset: 0 });
  await using pipe = await load();
  const sizes = `${join(folder, 'unet', 'config.json')}: "sample_size" is 32, taken as 64`;
  expect((pipe as StableDiffusionPipeline).unet.sampleHeight).toBe(64);
  expect((pipe as StableDiffusionPipeline).unet.config.sample_size).toBe(64);
  expect(pipe.scheduler.config.steps_offset).toBe(1);
  expect(messages).toEqual([
    expect.stringContaining('"steps_offset" is 0, taken as 1'),
    expect.stringContaining(sizes),
  ]);
  const { out } = await runCli(['inspect', folder, '--json']);
  expect(JSON.parse(out)).toMatchObject({
    memory: { width: 512, height: 512 },
    notes: [expect.stringContaining('"steps_offset" is 0'), expect.stringContaining(sizes)],
  });
});

test('newer U-Nets keep their size', async () => {
  edit('unet/config.json', { sample_size: 32, _diffusers_version: '0.9.0' });
  await using pipe = await load();
  expect(pipe.unet.sampleHeight).toBe(32);
});

test('a sampler that does not exist here does not stand in the way of another', async () => {
  setSampler('UnCLIPScheduler');
  expect(await rejection(load())).toMatchObject({
    code: 'ERR_DEEPCACHE_UNSUPPORTED',
    message: expect.stringMatching(/UnCLIPScheduler", is not implemented; choose another/),
  });
  await using pipe = await load({ scheduler: 'DPM++ 2M Karras' });
  expect(pipe.scheduler.className).toBe('DPMSolverMultistepScheduler');
  const out = join(folder, 'out.png');
  const args = ['generate', '-m', folder, '-p', 'x', '--steps', '2', '-o', out, '-q'];
  expect(await runCli([...args, '--scheduler', 'euler_a'])).toMatchObject({ code: 0, err: '' });
});

test('--scheduler-config may be a whole file of another sampler', async () => {
  const file = join(folder, 'other.json');
  const own = JSON.parse(readFileSync(join(folder, SCHEDULER), 'utf8'));
  writeFileSync(file, JSON.stringify({ ...own, clip_sample: false, interpolation_type: 'linear' }));
  const picture = async (name: string, ...args: string[]) => {
    const out = join(folder, `${name}.png`);
    const common = ['generate', '-m', folder, '-p', 'x', '--steps', '3', '-s', '1', '-q', '-o', out];
    expect(await runCli([...common, ...args])).toMatchObject({ code: 0, err: '' });
    return readFileSync(out);
  };
  const dpm = await picture('a', '--scheduler', 'DPM++ 2M');
  // Its version, 0.6, says nothing about DPM-Solver.
  expect(await picture('b', '--scheduler', 'DPM++ 2M', '--scheduler-config', file)).toEqual(dpm);
  const old = await picture(
    'c',
    '--scheduler',
    'DPM++ 2M',
    '--scheduler-config',
    '{"final_sigmas_type":"sigma_min"}',
  );
  expect(old.equals(dpm)).toBe(false);
});

test.each([
  [['--scheduler', 'Eulr a'], /--scheduler "Eulr a" is not implemented; did you mean "Euler a"\?/],
  [
    ['--scheduler-config', '{"eta":3}'],
    /--scheduler-config: "eta" is not a field of PNDMScheduler; eta is an option of its own/,
  ],
  [
    ['--scheduler-config', '{"use_karras_sigma":true}'],
    /--scheduler-config .*did you mean use_karras_sigmas\?/,
  ],
  [
    ['--scheduler', 'DDIM', '--scheduler-config', '{"use_karras_sigmas":true}'],
    /--scheduler-config .*DDIMSch/,
  ],
  [
    ['--scheduler-config', '{"use_karras_sigmas":true}'],
    /"use_karras_sigmas" is not a field of PNDMScheduler/,
  ],
])('%j is refused in the user’s words', async (args, message) => {
  const { code, err } = await runCli(['generate', '-m', folder, '-p', 'x', '--steps', '2', ...args]);
  expect(err).toMatch(message);
  expect(err).toMatch(/^deepcache: [^\n]+ \[ERR_DEEPCACHE_INVALID_ARGUMENT\]\n$/);
  expect(code).toBe(2);
});
