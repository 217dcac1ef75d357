import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Loras } from '../adapters/loras.js';
import { DeepCacheError, invalidArgument } from '../errors.js';
import { parseJsonObject } from '../files/json.js';
import { hashOf } from '../images/hash.js';
import { loadPicture } from '../images/input.js';
import { IpAdapterPipeline } from '../ip-adapter/ip-adapter-pipeline.js';
import { checkIpAdapterScale, type IpAdapterScale } from '../ip-adapter/scale.js';
import type { ImagePromptUse } from '../ip-adapter/settings.js';
import { show } from '../messages.js';
import type { GenerateOptions } from '../pipelines/inputs/options.js';
import { fileAndRest } from './arguments.js';

/** An IP-Adapter that a run loads, and what it reads. */
export interface WantedIpAdapter {
  readonly file: string;
  readonly encoder: string;
  readonly pictures: readonly string[];
  readonly scale: IpAdapterScale;
  /** What it must be, where a picture's settings say so. */
  readonly hash?: string;
}

export interface IpAdapterFlags {
  /** `FILE=picture[:scale]`, or what a picture's settings say. */
  readonly ipAdapter?: readonly (string | ImagePromptUse)[];
  readonly imageEncoder?: string;
}

type Options = Pick<GenerateOptions, 'ipAdapterImage' | 'ipAdapterScale'>;

/**
 * The IP-Adapters of the flags: a file that is named again reads one more picture.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for files that are not there, ERR_DEEPCACHE_IMAGE for pictures
 * that are none.
 */
export async function wantedIpAdapters(
  { ipAdapter = [], imageEncoder }: IpAdapterFlags,
  signal: AbortSignal,
): Promise<WantedIpAdapter[]> {
  if (ipAdapter.length === 0 && imageEncoder !== undefined)
    throw invalidArgument('imageEncoder', 'is for pictures beside the prompt: give --ip-adapter too');
  const wanted = new Map<string, WantedIpAdapter>();
  for (const given of ipAdapter) {
    const use =
      typeof given === 'string' ? parse(given, imageEncoder) : await repeated(given, imageEncoder, signal);
    const before = wanted.get(use.file);
    if (before && JSON.stringify(before.scale) !== JSON.stringify(use.scale))
      throw invalidArgument('ipAdapter', `gives ${use.file} two scales`);
    wanted.set(use.file, { ...use, pictures: [...(before?.pictures ?? []), ...use.pictures] });
    for (const picture of use.pictures) await loadPicture('ipAdapter', picture, signal);
  }
  return [...wanted.values()];
}

/** Loads them, on a pipeline that takes such. */
export async function loadIpAdapters(
  pipe: unknown,
  wanted: readonly WantedIpAdapter[],
  signal: AbortSignal | undefined,
): Promise<void> {
  if (wanted.length === 0) return;
  if (!(pipe instanceof IpAdapterPipeline))
    throw invalidArgument('ipAdapter', 'is for Stable Diffusion and SDXL; this model takes no pictures so');
  for (const [i, { file, encoder: imageEncoder, hash }] of wanted.entries()) {
    const own = Loras.nameOf(file);
    const isTaken = pipe.ipAdapters.some(({ name }) => name === own);
    const name = isTaken ? `${own}-${i + 1}` : own;
    const info = await pipe.loadIpAdapter(file, { imageEncoder, name, ...(signal && { signal }) });
    if (hash !== undefined && info.hash !== hash)
      throw changed(`the IP-Adapter ${file} is another file (${info.hash}) than the picture's (${hash})`);
  }
}

/** The options of a run with them. */
export function optionsOfIpAdapters(wanted: readonly WantedIpAdapter[]): Options {
  if (wanted.length === 0) return {};
  return {
    ipAdapterImage: wanted.map(({ pictures }) => pictures),
    ipAdapterScale: wanted.map(({ scale }) => scale),
  };
}

const SCALE = /^(.+?):(-?(?:\d+\.?\d*|\.\d+)|\{.*\})$/s;

/** A file or picture of the whole name comes first, whatever signs are in it. */
function parse(text: string, imageEncoder: string | undefined): WantedIpAdapter {
  const [file, rest] = fileAndRest('ipAdapter', 'FILE=picture or FILE=picture:scale', text);
  const [, picture, scale] = existsSync(rest) ? [] : (SCALE.exec(rest) ?? []);
  if (!existsSync(file)) throw invalidArgument('ipAdapter', `names a file that is not there: ${show(file)}`);
  const encoder = imageEncoder ?? join(dirname(file), 'image_encoder');
  if (!existsSync(encoder)) {
    const given = `names a folder that is not there: ${show(encoder)}`;
    const missing = `is missing: there is no folder image_encoder beside ${file}`;
    throw invalidArgument('imageEncoder', imageEncoder === undefined ? missing : given);
  }
  return { file, encoder, pictures: [picture ?? rest], scale: toScale(scale) };
}

function toScale(text: string | undefined): IpAdapterScale {
  if (text === undefined) return 1;
  if (!text.startsWith('{')) return Number(text);
  try {
    return checkIpAdapterScale('scale', parseJsonObject('the scale', text));
  } catch (error) {
    throw invalidArgument('ipAdapter', `has a scale that is none: ${(error as Error).message}`);
  }
}

/** What a picture's settings name, which must be there as it was. */
async function repeated(
  { file, hash, encoder: own, images = [], scale }: ImagePromptUse,
  encoder: string | undefined = own,
  signal: AbortSignal,
): Promise<WantedIpAdapter> {
  const missing = [file, encoder, ...images.map((image) => image.file)].find(
    (path) => path !== undefined && !existsSync(path),
  );
  if (missing !== undefined)
    throw invalidArgument('from', `was made with ${show(missing)}, which is not there`);
  if (encoder === undefined) throw invalidArgument('from', `does not say which image encoder ${file} has`);
  for (const image of images) {
    const now = await hashOf(await loadPicture('from', image.file as string, signal), signal);
    if (now !== image.hash) throw changed(`${image.file} is another picture than the one that prompted it`);
  }
  return { file, encoder, pictures: images.map((image) => image.file as string), scale, hash };
}

const changed = (why: string) =>
  new DeepCacheError('ERR_DEEPCACHE_UNSUPPORTED', `the picture cannot be repeated: ${why}`);
