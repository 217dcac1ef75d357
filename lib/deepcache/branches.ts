import { invalidArgument } from '../errors.js';
import { show } from '../messages.js';

/**
 * Branches are numbered as in DeepCacheSDHelper (cache_branch_id) for U-Nets of two layers a block: branch
 * r = (layersPerBlock + 1) * block + layer, counted from the shallowest (blocks of different numbers of layers are counted one after the other). A retrieve step of branch r runs conv_in, the first r down units (a unit is one resnet
 * with its attention, or one downsampler) and the last r + 1 up layers with the upsamplers between them.
 *
 * The helpers below convert the numbers of other DeepCache programs. All throw ERR_DEEPCACHE_INVALID_ARGUMENT for
 * numbers that do not exist or, in those programs, silently cache nothing.
 */

/** What the branch numbers of a U-Net depend on. */
export interface BranchLayout {
  /** Number of down (and up) blocks. */
  levels: number;
  /** layers_per_block of the U-Net's configuration: of all blocks, or of each, the finest first. */
  layersPerBlock: LayersPerBlock;
}

/** A number of layers for every block, or one for each. */
export type LayersPerBlock = number | readonly number[];

/** How many branches a U-Net has: 12 for SD 1.5, 9 for SDXL. */
export function branchCount(levels: number, layersPerBlock: LayersPerBlock): number {
  return firstOfBlock(levels, layersPerBlock);
}

function layersOf(block: number, layersPerBlock: LayersPerBlock): number {
  return typeof layersPerBlock === 'number' ? layersPerBlock : (layersPerBlock[block] ?? 0);
}

/** The branch at which a block begins: one for each layer and one for what is behind them, in all blocks before. */
function firstOfBlock(block: number, layersPerBlock: LayersPerBlock): number {
  let first = 0;
  for (let i = 0; i < block; i++) first += layersOf(i, layersPerBlock) + 1;
  return first;
}

/** Returns `branch` if the U-Net has it, and throws otherwise. */
export function validateBranch(
  branch: number,
  levels: number,
  layersPerBlock: LayersPerBlock,
  name = 'cache.branch',
): number {
  const count = branchCount(levels, layersPerBlock);
  if (Number.isInteger(branch) && branch >= 0 && branch < count) return branch;
  throw invalidArgument(
    name,
    `must be a whole number from 0 to ${count - 1} for this U-Net, got ${show(branch)}`,
  );
}

/**
 * The paper's pipelines (cache_layer_id, cache_block_id): there `layer` is the level and `block` the layer in it, so
 * the branch is (layersPerBlock + 1) * layer + block + 1. The SD pipeline caches at up blocks with attention only:
 * give their number as `attentionBlocks` (3 for SD 1.5); the SDXL pipeline caches at all.
 */
export function branchFromPaperCode(
  layer: number,
  block: number,
  { levels, layersPerBlock, attentionBlocks = levels }: BranchLayout & { attentionBlocks?: number },
): number {
  requireIndex('layer', layer, levels - 1);
  requireIndex('block', block, layersOf(layer, layersPerBlock));
  const branch = firstOfBlock(layer, layersPerBlock) + block + 1;
  const last = branchCount(Math.min(levels, attentionBlocks), layersPerBlock) - 1;
  if (branch <= last) return branch;
  throw invalidArgument(
    'layer, block',
    `(${layer}, ${block}) caches nothing in the paper's code: its last branch is ${last}`,
  );
}

/**
 * DeepCacheSDHelper (cache_branch_id), which counts three numbers for every block: with one layer a block two of them
 * mean the same.
 */
export function branchFromHelper(id: number, { levels, layersPerBlock }: BranchLayout): number {
  requireIndex('cache_branch_id', id, 3 * levels - 1);
  const block = Math.floor(id / 3);
  return firstOfBlock(block, layersPerBlock) + Math.min(id % 3, layersOf(block, layersPerBlock));
}

/** The paper's DDPM program: `--branch b`. */
export function branchFromDdpm(branch: number, layout: BranchLayout): number {
  return oneMore(branch, layout);
}

/** The paper's Stable Video Diffusion pipeline: `cache_branch`. */
export function branchFromSvd(branch: number, layout: BranchLayout): number {
  return oneMore(branch, layout);
}

/** The paper's latent diffusion program, where the branch is fixed. */
export function branchFromLdm(): number {
  return 0;
}

/** The text of the paper: "skip branch k", counted from 1. */
export function branchFromPaperText(skipBranch: number, { levels, layersPerBlock }: BranchLayout): number {
  const count = branchCount(levels, layersPerBlock);
  if (Number.isInteger(skipBranch) && skipBranch >= 1 && skipBranch <= count) return skipBranch - 1;
  throw invalidArgument('skipBranch', `must be a whole number from 1 to ${count}, got ${show(skipBranch)}`);
}

function oneMore(branch: number, { levels, layersPerBlock }: BranchLayout): number {
  // The last number of those programs leaves nothing to cache.
  requireIndex('branch', branch, branchCount(levels, layersPerBlock) - 2);
  return branch + 1;
}

function requireIndex(name: string, value: number, max: number): void {
  if (Number.isInteger(value) && value >= 0 && value <= max) return;
  throw invalidArgument(name, `must be a whole number from 0 to ${max}, got ${show(value)}`);
}
