import { stat } from 'node:fs/promises';
import { basename, posix } from 'node:path';
import { messageOf } from '../../errors.js';
import { readJson } from '../../files/json.js';
import { LatentScale } from '../../models/latent-scale.js';
import type { NetworkFiles } from '../../models/model-files.js';
import type { PartSource } from '../../models/part-source.js';
import { native } from '../../native/binding.js';
import type { NativeSafetensorsFile } from '../../native/safetensors-file.js';
import type { ModelKind, TensorShape, TensorSource } from '../../native/types.js';
import { BITS } from '../../weights/stored-tensor.js';
import { tensorProblems } from './tensors.js';

/** A network of a model folder, from its configuration and the headers of its files: no weights are read. */
export interface ComponentReport {
  /** Its folder's name. */
  name: string;
  /** Its class in diffusers or transformers. */
  className: string;
  /** Only for the networks that this package computes. */
  kind?: ModelKind;
  /** By the configuration. */
  parameters?: number;
  /** Values of each type in the files. */
  dtypes: Record<string, number>;
  files: { name: string; bytes: number }[];
  problems: string[];
  /** The text of config.json. */
  config?: string;
  /** Where its files are. */
  paths: readonly string[];
  /** Where its tensors lie, in files that hold other parts too. */
  places?: readonly TensorSource[];
}

const KINDS: Readonly<Record<string, ModelKind>> = {
  UNet2DConditionModel: 'unet',
  UNetSpatioTemporalConditionModel: 'unet',
  AutoencoderKL: 'vae',
  AutoencoderKLTemporalDecoder: 'vae',
  AutoencoderTiny: 'vae',
  AsymmetricAutoencoderKL: 'vae',
  CLIPVisionModelWithProjection: 'image_encoder',
  CLIPTextModel: 'text_encoder',
  CLIPTextModelWithProjection: 'text_encoder',
};

export function kindOf(className: string): ModelKind | undefined {
  return Object.hasOwn(KINDS, className) ? KINDS[className] : undefined;
}

/** The report for `--json`. */
export function reportJson({ config, paths, places, ...report }: ComponentReport): object {
  return report;
}

/** The class that a component's config.json names, in diffusers' or in transformers' way. */
export async function classNameOf(configFile: string): Promise<string | undefined> {
  const { _class_name, architectures } = (await readJson(configFile)).value;
  const name = _class_name ?? (Array.isArray(architectures) ? architectures[0] : undefined);
  return typeof name === 'string' ? name : undefined;
}

export async function inspectComponent(
  source: PartSource,
  part: string,
  className: string,
  { variant, signal }: { variant?: string | undefined; signal?: AbortSignal | undefined } = {},
): Promise<ComponentReport> {
  const kind = kindOf(className);
  const name = part === '' ? basename(source.place) : part;
  const report: ComponentReport = { name, className, dtypes: {}, files: [], problems: [], paths: [] };
  if (!kind) return report;
  report.kind = kind;
  const stem = /encoder$/.test(kind) ? 'model' : 'diffusion_pytorch_model';
  const model = await attempt(report, () => source.network(part, { stem, variant }));
  if (!model) return report;
  report.config = model.configText;
  report.paths = model.files;
  if (model.tensors) report.places = model.tensors;
  const expected = await attempt(report, () => native().weightShapes(kind, model.configText));
  signal?.throwIfAborted();
  if (expected) report.parameters = countParameters(expected);
  if (kind === 'vae') {
    const channels = Number(model.config.latent_channels ?? 4);
    await attempt(
      report,
      () => new LatentScale(1, channels, model.config, posix.join(report.name, 'config.json')),
    );
  }
  const files = model.tensors ? [tableOf(report, model.tensors)] : await openFiles(report, model);
  // Without all files every tensor of the others would be reported as missing.
  if (expected && (model.tensors || files.length === model.files.length)) {
    report.problems.push(...tensorProblems(expected, files));
  }
  return report;
}

async function openFiles(report: ComponentReport, { files }: NetworkFiles): Promise<NativeSafetensorsFile[]> {
  const opened: NativeSafetensorsFile[] = [];
  for (const path of files) {
    const file = await attempt(report, () => new (native().SafetensorsFile)(path));
    const bytes = (await stat(path).catch(() => undefined))?.size;
    if (bytes !== undefined) report.files.push({ name: basename(path), bytes });
    if (!file) continue;
    opened.push(file);
    countTypes(report, file.tensors);
  }
  return opened;
}

/** The part of single files that the component is. */
function tableOf(report: ComponentReport, tensors: readonly TensorSource[]) {
  countTypes(report, tensors);
  for (const path of new Set(tensors.map(({ file }) => file))) {
    const own = tensors.filter(({ file }) => file === path);
    report.files.push({ name: basename(path), bytes: own.reduce((sum, tensor) => sum + bytesOf(tensor), 0) });
  }
  return { tensors };
}

function bytesOf({ dtype, shape }: TensorSource): number {
  const bits = Object.hasOwn(BITS, dtype) ? BITS[dtype as keyof typeof BITS] : 0;
  return (bits / 8) * shape.reduce((a, b) => a * b, 1);
}

function countTypes(
  report: ComponentReport,
  tensors: readonly { dtype: string; shape: readonly number[] }[],
): void {
  for (const { dtype, shape } of tensors) {
    report.dtypes[dtype] = (report.dtypes[dtype] ?? 0) + shape.reduce((a, b) => a * b, 1);
  }
}

export function countParameters(tensors: readonly TensorShape[]): number {
  return tensors.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
}

/** What `action` returns; what it throws becomes a problem. */
async function attempt<T>(report: ComponentReport, action: () => T | Promise<T>): Promise<T | undefined> {
  try {
    return await action();
  } catch (error) {
    report.problems.push(messageOf(error));
    return undefined;
  }
}
