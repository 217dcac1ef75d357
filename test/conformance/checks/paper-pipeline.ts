import { type BranchLayout, branchFromPaperCode, paperSchedule } from '../../../lib/deepcache/index.js';
import { DeepCacheError } from '../../../lib/errors.js';
import type { CacheSettings } from '../../../lib/index.js';
import type { Findings } from '../findings.js';
import type { GoldenCase } from '../goldens.js';
import type { Models, Pipeline } from '../models.js';
import { generateOptions } from './pipeline-options.js';
import { compareNoise, compareRun, recordRun } from './pipeline-run.js';

interface PaperArgs {
  cache_interval: number;
  cache_layer_id: number;
  cache_block_id: number;
  uniform: boolean;
  pow: number | null;
  center: number | null;
}

/** The pipelines that came with the paper, and diffusers' class of the same models. */
const CLASSES: Readonly<Record<string, string>> = {
  'DeepCache.sd': 'StableDiffusionPipeline',
  'DeepCache.sdxl': 'StableDiffusionXLPipeline',
};

/** A denoising loop of the paper's code, its settings converted to ours. */
export async function checkPaperPipeline(
  golden: GoldenCase,
  findings: Findings,
  models: Models,
): Promise<void> {
  const name = golden.field<string>('pipeline') as string;
  const className = CLASSES[name];
  if (!className) throw new DeepCacheError('ERR_DEEPCACHE_UNSUPPORTED', `there is no pipeline for ${name}`);
  const pipe = await models.pipeline(golden.modelFolder, className);
  const options = generateOptions(golden);
  let cache: CacheSettings;
  try {
    cache = paperCache(golden, pipe, options.numInferenceSteps as number);
  } catch (error) {
    if (!(error instanceof DeepCacheError) || error.code !== 'ERR_DEEPCACHE_INVALID_ARGUMENT') throw error;
    // Right where the paper's code never caches without a word.
    const neverCached = golden.field<boolean[]>('full_step')?.every(Boolean) === true;
    findings.fact('refused', neverCached, error.message);
    return;
  }
  await compareNoise(golden, findings);
  compareRun(golden, findings, await recordRun(pipe, { ...options, cache }));
}

function paperCache(golden: GoldenCase, pipe: Pipeline, steps: number): CacheSettings {
  const args = golden.field<PaperArgs>('paper_args') as PaperArgs;
  const { uniform, center, pow } = args;
  const nonuniform = uniform ? undefined : { center: center as number, power: pow as number };
  return {
    steps: paperSchedule(steps, args.cache_interval, nonuniform),
    branch: branchFromPaperCode(args.cache_layer_id, args.cache_block_id, layoutOf(golden, pipe)),
  };
}

/** The SD version caches in blocks with attention only, the SDXL version in all. */
function layoutOf(golden: GoldenCase, pipe: Pipeline): BranchLayout & { attentionBlocks?: number } {
  const { up_block_types: types, layers_per_block: layers = 2 } = pipe.unet.config;
  const blocks = types as string[];
  const layout = { levels: blocks.length, layersPerBlock: layers as number };
  if (golden.field('pipeline') === 'DeepCache.sdxl') return layout;
  return { ...layout, attentionBlocks: blocks.filter((type) => type.startsWith('CrossAttn')).length };
}
