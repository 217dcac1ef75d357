import { posix } from 'node:path';
import { show } from '../messages.js';
import { downloadError } from './places.js';

/** A file of a model on the Hub. */
export interface HubFile {
  /** From the model's root, with slashes. */
  readonly path: string;
  readonly size: number;
  /** Of its content: SHA-256 of large files, else that of git. */
  readonly hash: string;
  readonly isLarge: boolean;
}

/** Parts that are never read: pictures are not checked, and how pictures are prepared is known. */
const UNREAD = ['safety_checker', 'feature_extractor', 'watermarker'];
const SMALL = /^(?:[\w.-]+\.json|merges\.txt|vocab\.txt|[\w.-]+\.ya?ml)$/;
/** Weights in the layouts of diffusers and transformers, the best first. */
const STEMS = [
  { stem: 'diffusion_pytorch_model', ending: 'safetensors' },
  { stem: 'model', ending: 'safetensors' },
  { stem: 'diffusion_pytorch_model', ending: 'bin' },
  { stem: 'pytorch_model', ending: 'bin' },
  { stem: 'model', ending: 'bin' },
] as const;
export const CHECKPOINT = /\.(?:safetensors|ckpt)$/;
/** Variants that are taken when none is asked for, where there is nothing else. */
const USUAL = [undefined, 'fp16', 'bf16'];

/** What is wanted of a model. */
export interface Choice {
  readonly variant?: string | undefined;
  /** The parts that its model_index.json names; undefined where it has none. */
  readonly parts?: readonly string[] | undefined;
}

/**
 * The files of a model that loading it takes: its configurations and tokenizers, and of each part the weights of one
 * variant; pickles only where there is nothing else. A repository without configurations that holds one checkpoint is
 * that file.
 */
export function chooseFiles(name: string, files: readonly HubFile[], { variant, parts }: Choice): HubFile[] {
  const at = (folder: string) => files.filter(({ path }) => folderOf(path) === folder);
  const small = (here: readonly HubFile[]) =>
    here.filter(({ path }) => SMALL.test(posix.basename(path)) && !isIndex(path));
  const root = at('');
  if (parts) {
    // A single file beside the parts is the same model once more.
    const read = parts.filter((part) => !UNREAD.includes(part)).map(at);
    return [...small(root), ...read.flatMap((here) => [...small(here), ...weightsOf(here, variant)])];
  }
  if (!root.some(({ path }) => isWhole(path))) return [checkpointOf(name, root, variant)];
  return [...small(root), ...weightsOf(root, variant)];
}

/** Whether a file at a model's root says that there is more than a checkpoint. */
export function isWhole(name: string): boolean {
  return name === 'model_index.json' || name === 'config.json';
}

function folderOf(path: string): string {
  const folder = posix.dirname(path);
  return folder === '.' ? '' : folder;
}

/** Lists of shards go with their shards. */
function isIndex(path: string): boolean {
  return /\.index(?:\.[\w-]+)?\.json$/.test(path);
}

/** The weights of a part: one file, or shards with their list. */
function weightsOf(files: readonly HubFile[], variant: string | undefined): HubFile[] {
  for (const { stem, ending } of STEMS) {
    for (const one of variant === undefined ? USUAL : [variant, ...USUAL]) {
      const found = files.filter(({ path }) => isOf(posix.basename(path), stem, one, ending));
      const whole = found.find(({ path }) => !/-\d+-of-\d+/.test(path) && !isIndex(path));
      if (whole) return [whole];
      if (found.some(({ path }) => isIndex(path))) return found;
    }
  }
  return [];
}

/** Whether a name is of weights of a variant, a shard of them, or their list. */
function isOf(file: string, stem: string, variant: string | undefined, ending: string): boolean {
  const dotted = variant === undefined ? '' : `\\.${escaped(variant)}`;
  const [own, kind] = [escaped(stem), escaped(ending)];
  // Both ways in which shards of a variant and their lists have been named.
  const shard = '(?:-\\d+-of-\\d+)?';
  return new RegExp(
    `^(?:${own}${dotted}${shard}\\.${kind}|${own}${shard}${dotted}\\.${kind}` +
      `|${own}${dotted}\\.${kind}\\.index\\.json|${own}\\.${kind}\\.index${dotted}\\.json)$`,
  ).test(file);
}

const escaped = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** The one checkpoint of a repository; of several the one whose name has the variant. */
function checkpointOf(name: string, files: readonly HubFile[], variant: string | undefined): HubFile {
  const all = files.filter(({ path }) => CHECKPOINT.test(path));
  const safe = all.filter(({ path }) => path.endsWith('.safetensors'));
  const checkpoints = safe.length > 0 ? safe : all;
  const ofVariant = checkpoints.filter(
    ({ path }) => variant !== undefined && path.split(/[._-]/).includes(variant),
  );
  const [only] = ofVariant.length === 1 ? ofVariant : checkpoints;
  if (only && (checkpoints.length === 1 || ofVariant.length === 1)) return only;
  if (checkpoints.length === 0) {
    throw downloadError(name, 'holds no model: neither model_index.json nor a checkpoint');
  }
  const list = checkpoints.slice(0, 8).map(({ path }) => show(path));
  throw downloadError(
    name,
    `holds several checkpoints: ${list.join(', ')}${checkpoints.length > 8 ? ', …' : ''}; download the one that you want`,
  );
}
