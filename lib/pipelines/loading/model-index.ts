import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { invalidArgument, invalidConfig } from '../../errors.js';
import type { JsonObject } from '../../files/json.js';
import { shorten } from '../../messages.js';
import { FolderSource } from '../../models/folder-source.js';
import { locateModel } from '../../models/locate.js';
import { partAt, withOverrides } from '../../models/overridden-source.js';
import type { PartSource } from '../../models/part-source.js';
import { type OpenedFile, openSingleFile } from '../../models/single-file/open.js';
import { type DeviceOptions, remarkOn } from '../../native/device.js';
import { MOTION_PIPELINE } from './motion-parts.js';
import { readOriginalIndex } from './original-layout.js';
import type { LoadOptions, ModelIndex } from './parts.js';
import { findPipeline } from './registry.js';

/** Options of loading that say where a model's parts are, and where it computes. */
export type IndexOptions = Pick<
  LoadOptions,
  | 'config'
  | 'unet'
  | 'vae'
  | 'previewVae'
  | 'textEncoder'
  | 'textEncoder2'
  | 'useEma'
  | 'motionAdapter'
  | 'signal'
> &
  DeviceOptions;

/**
 * Finds a model, see {@link locateModel}, and reads its model_index.json.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_CONFIG when it is no diffusers model.
 */
export async function readModelIndex(model: string, options: IndexOptions = {}): Promise<ModelIndex> {
  const { signal } = options;
  const place = await locateModel(model, signal);
  const opened =
    place.file === undefined ? openFolder(place.folder, options) : await openSingleFile(place.file, options);
  const index = await indexOf(opened.source, signal);
  const { previewVae } = options;
  return {
    ...index,
    ...(options.motionAdapter !== undefined && { className: MOTION_PIPELINE }),
    source: await withOverrides(opened.source, options),
    ...(previewVae !== undefined && {
      previewVae: await partAt(previewVae, 'vae', 'previewVae', { signal, decodes: true }),
    }),
    remarks: [place.remark ?? [], opened.remarks, index.remarks, remarkOn(options) ?? []].flat(),
  };
}

/** The pipeline of a model, whatever is put in the place of its autoencoder. */
export async function classAt(model: string, options: IndexOptions = {}): Promise<string> {
  const { vae: _, previewVae: __, ...others } = options;
  return (await readModelIndex(model, others)).className;
}

function openFolder(folder: string, { config, useEma }: IndexOptions): OpenedFile {
  for (const [name, value] of Object.entries({ config, useEma: useEma || undefined })) {
    if (value !== undefined)
      throw invalidArgument(name, `is for models in a single file; ${folder} is a folder`);
  }
  return { source: new FolderSource(folder), remarks: [] };
}

/** What the parts of a source make. */
async function indexOf(
  source: PartSource,
  signal?: AbortSignal,
): Promise<ModelIndex & { remarks: string[] }> {
  const remarks: string[] = [];
  if (!source.hasJson('model_index.json')) {
    const own = await readOriginalIndex(source, signal);
    if (own) return { source, ...own, remarks };
    throw invalidConfig(source.place, await partMessage(source, signal));
  }
  const { path, value } = await source.json('model_index.json', { signal });
  // Pipelines of the community are [file, class].
  const named = Array.isArray(value._class_name) ? value._class_name.at(-1) : value._class_name;
  if (typeof named !== 'string' || named === '') throw invalidConfig(path, 'lacks "_class_name"');
  const className = findPipeline(named) ? named : ((await classOfParts(source, value, signal)) ?? named);
  if (className !== named) {
    remarks.push(
      `${path}: ${shorten(named)} is not known; its parts are a ${className}'s, and it is loaded as one, without what else it does`,
    );
  }
  return { source, className, value, remarks };
}

type Parts = Readonly<Record<string, string>>;

const SD: Parts = {
  tokenizer: 'CLIPTokenizer',
  text_encoder: 'CLIPTextModel',
  unet: 'UNet2DConditionModel',
  vae: 'AutoencoderKL',
};
const XL: Parts = {
  ...SD,
  tokenizer_2: 'CLIPTokenizer',
  text_encoder_2: 'CLIPTextModelWithProjection',
};
/** What may lie beside them without changing the pictures. */
const EXTRA = ['scheduler', 'safety_checker', 'feature_extractor', 'image_encoder', 'watermark'];

/** The pipeline that a model's parts are made for; undefined when there is no such one. */
async function classOfParts(
  source: PartSource,
  value: Readonly<JsonObject>,
  signal?: AbortSignal,
): Promise<string | undefined> {
  const parts: Record<string, string> = {};
  for (const [name, entry] of Object.entries(value)) {
    if (!Array.isArray(entry) || name.startsWith('_') || EXTRA.includes(name)) continue;
    // Fast tokenizers read the same files, other autoencoders do the same work.
    if (typeof entry[1] === 'string') {
      parts[name] = entry[1]
        .replace(/^CLIPTokenizerFast$/, 'CLIPTokenizer')
        .replace(/^(AutoencoderTiny|AsymmetricAutoencoderKL)$/, 'AutoencoderKL');
    }
  }
  const are = (wanted: Parts) =>
    Object.keys(parts).length === Object.keys(wanted).length &&
    Object.entries(wanted).every(([name, className]) => parts[name] === className);
  const kind = are(SD) ? 'StableDiffusion' : are(XL) ? 'StableDiffusionXL' : undefined;
  if (!kind) return undefined;
  // A U-Net of other inputs belongs to a pipeline that gives it these.
  const unet = await source.json('unet/config.json', { signal }).catch(() => undefined);
  const channels = unet?.value.in_channels ?? 4;
  if (channels === 4) return `${kind}Pipeline`;
  return channels === 9 ? `${kind}InpaintPipeline` : undefined;
}

/** What a folder with a config.json is that is no whole model. */
async function partMessage(source: PartSource, signal?: AbortSignal): Promise<string> {
  const { _class_name, architectures } = (await source.json('config.json', { signal })).value;
  const name = _class_name ?? (Array.isArray(architectures) ? architectures[0] : undefined);
  const parent = join(source.place, '..');
  const hint = existsSync(join(parent, 'model_index.json')) ? `; the whole model is ${parent}` : '';
  return typeof name === 'string'
    ? `is a ${name} alone: it has no model_index.json, as whole models have${hint}`
    : `has no model_index.json; a model is a folder in the diffusers layout${hint}`;
}
