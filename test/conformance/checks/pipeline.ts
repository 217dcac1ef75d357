import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { DeepCacheError } from '../../../lib/errors.js';
import type { CacheSettings, GenerateOptions } from '../../../lib/index.js';
import { inSlices } from '../../../lib/slices.js';
import { concat } from '../../../lib/tensor.js';
import type { Findings } from '../findings.js';
import type { GoldenCase } from '../goldens.js';
import type { Models, Pipeline } from '../models.js';
import { checkMotionPipeline } from './motion-pipeline.js';
import { generateOptions, helperCache } from './pipeline-options.js';
import { compareNoise, compareRun, type RecordedRun, recordRun } from './pipeline-run.js';
import { compareCalls } from './unet-calls.js';

/** A whole denoising loop of a diffusers pipeline, with or without the DeepCache helper. */
export async function checkPipeline(golden: GoldenCase, findings: Findings, models: Models): Promise<void> {
  if (golden.field('pipeline') === 'AnimateDiffPipeline')
    return checkMotionPipeline(golden, findings, models);
  const overrides = golden.field<object>('vae_overrides');
  const other = /^vae replaced by (\S+?)\/vae(?:;|$)/.exec(golden.field<string>('note') ?? '')?.[1];
  const vae = other && join(golden.modelFolderOf(basename(other)), 'vae');
  const load = (folder: string) =>
    models.pipeline(folder, golden.field<string>('pipeline'), vae === undefined ? {} : { vae });
  const pipe = await (overrides ? withVae(golden.modelFolder, overrides, load) : load(golden.modelFolder));
  await comparePipeline(golden, findings, pipe);
}

/** Loads a copy of a model whose autoencoder has other fields in its configuration. */
async function withVae<T>(folder: string, fields: object, load: (folder: string) => Promise<T>): Promise<T> {
  const copy = mkdtempSync(join(tmpdir(), 'deepcache-vae-'));
  try {
    cpSync(folder, copy, { recursive: true });
    const config = join(copy, 'vae/config.json');
    writeFileSync(config, JSON.stringify({ ...JSON.parse(readFileSync(config, 'utf8')), ...fields }));
    return await load(copy);
  } finally {
    rmSync(copy, { recursive: true });
  }
}

/** The same with a pipeline that was loaded; `own` are options that cases say otherwise, `request` what single passes take besides. */
export async function comparePipeline(
  golden: GoldenCase,
  findings: Findings,
  pipe: Pipeline,
  {
    own = {},
    request = {},
    isCompared,
  }: { own?: Partial<GenerateOptions>; request?: object; isCompared?: (value: number) => boolean } = {},
): Promise<void> {
  const cache = helperCache(golden);
  const options: GenerateOptions = { ...generateOptions(golden), ...own, cache } as GenerateOptions;
  // The helper takes any branch and then does something else than asked; we refuse.
  if (cache && !hasBranch(pipe, cache.branch as number)) {
    await expectRefusal(findings, () => pipe.generate({ ...options, output: 'latent' }));
    return;
  }
  const run = await recordRun(pipe, options);
  await compareNoise(golden, findings, run.schedule.motion);
  compareRun(golden, findings, run, isCompared);
  await compareOutputs(golden, findings, pipe, run, options, request);
}

/**
 * Runs one after the other under a helper that was enabled once. Its state goes from run to run; ours does not, so of
 * the later ones it only counts that the first call is full.
 */
export async function checkStalePipeline(
  golden: GoldenCase,
  findings: Findings,
  models: Models,
): Promise<void> {
  if (/(^|\/)run0/.test(golden.id)) return checkPipeline(golden, findings, models);
  const pipe = await models.pipeline(golden.modelFolder, golden.field<string>('pipeline'));
  const { full } = await recordRun(pipe, { ...generateOptions(golden), cache: helperCache(golden) });
  findings.equal('the first call is full', full[0], true);
}

async function compareOutputs(
  golden: GoldenCase,
  findings: Findings,
  pipe: Pipeline,
  run: RecordedRun,
  options: GenerateOptions,
  extra: object,
): Promise<void> {
  if (golden.has('image_raw')) findings.tensor('image_raw', await decode(pipe, run));
  if (golden.has('unet_in') || golden.has('unet_out')) {
    const { branch } = (options.cache || {}) as CacheSettings;
    await compareCalls(golden, findings, pipe, run, { options, branch, extra });
  }
}

/** The decoder's output for the final latents, before it is mapped to [0, 1]. */
export async function decode(pipe: Pipeline, { final }: RecordedRun): Promise<Float32Array> {
  const [batch = 0, ...each] = final.shape;
  const [, height = 0, width = 0] = each;
  const count = final.data.length / batch;
  const images: Float32Array[] = [];
  for (let i = 0; i < batch; i++) {
    const one = final.data.subarray(i * count, (i + 1) * count);
    const data = await inSlices(pipe.vae.latentScale.fromModel(one, height * width));
    images.push((await pipe.vae.decode({ data, shape: [1, ...each] })).data);
  }
  return concat(images);
}

/** Whether the U-Net has the branch, from its configuration alone. */
function hasBranch(pipe: Pipeline, branch: number): boolean {
  const { block_out_channels: channels, layers_per_block: layers = 2 } = pipe.unet.config;
  const count = (channels as number[]).length * ((layers as number) + 1);
  return Number.isInteger(branch) && branch >= 0 && branch < count;
}

async function expectRefusal(findings: Findings, run: () => Promise<unknown>): Promise<void> {
  try {
    await run();
  } catch (error) {
    if (!(error instanceof DeepCacheError) || error.code !== 'ERR_DEEPCACHE_INVALID_ARGUMENT') throw error;
    findings.fact('refused', true, error.message);
    return;
  }
  findings.fact('refused', false, 'the run should have been refused');
}
