import { textWidthOf } from '../../configs/unet-size.js';
import { messageOf } from '../../errors.js';
import { unknownFields } from '../../models/known-fields.js';
import { modelDefaults } from '../../pipelines/loading/about-model.js';
import { checkTokenizer } from '../../pipelines/loading/fit.js';
import { type IndexOptions, readModelIndex } from '../../pipelines/loading/model-index.js';
import type { GenerationDefaults } from '../../pipelines/loading/parts.js';
import { findPipeline } from '../../pipelines/loading/registry.js';
import { repairTexts, unetRepairs } from '../../pipelines/loading/repairs.js';
import { readScheduler } from '../../pipelines/loading/scheduler-file.js';
import { checkInputs, inputsOfConfig, ONLY_LATENTS } from '../../pipelines/loading/unet-inputs.js';
// Registers all pipelines.
import '../../index.js';
import { readLowRes } from '../../pipelines/loading/upscaler-parts.js';
import type { CLIPTokenizer } from '../../tokenizers/clip-tokenizer.js';
import { type ComponentReport, inspectComponent, kindOf } from './component.js';
import { type BranchNeed, type MemoryNeed, needsOf } from './needs.js';

/** A folder in the diffusers layout. */
export interface ModelReport {
  folder: string;
  /** The pipeline's class. */
  className: string;
  scheduler?: string;
  /** What is worth knowing, such as what is corrected when the folder is loaded, as diffusers does. */
  notes: string[];
  /** Of its runs. */
  defaults?: GenerationDefaults;
  components: ComponentReport[];
  memory?: MemoryNeed;
  branches?: BranchNeed[];
  /** Problems of the whole; those of components are theirs. */
  problems: string[];
}

export interface InspectOptions extends IndexOptions {
  variant?: string | undefined;
}

/** Parts of a model folder that this package does not use. */
const UNUSED = ['safety_checker', 'feature_extractor', 'depth_estimator'];

export async function inspectModel(
  model: string,
  { variant, ...options }: InspectOptions = {},
): Promise<ModelReport> {
  const { signal } = options;
  const index = await readModelIndex(model, options);
  const { source, className, value, remarks = [] } = index;
  const folder = source.place;
  const report: ModelReport = { folder, className, notes: [...remarks], components: [], problems: [] };
  const { notes, problems } = report;
  if (!findPipeline(className)) problems.push(`this version has no ${className}`);
  await note(problems, async () => {
    const defaults = await modelDefaults(index, (message) => problems.push(message));
    if (Object.keys(defaults).length > 0) report.defaults = defaults;
  });
  const tokenizers = new Map<string, CLIPTokenizer>();
  for (const [name, entry] of Object.entries(value)) {
    if (name.startsWith('_') || !Array.isArray(entry) || typeof entry[1] !== 'string') continue;
    // Anything else could name files elsewhere.
    if (!/^\w[\w.-]*$/.test(name)) {
      problems.push(
        `model_index.json names a component ${JSON.stringify(name)}, which is not the name of a folder`,
      );
      continue;
    }
    const className = entry[1];
    // Models of pictures have one for adapters only.
    const isSpare = name === 'image_encoder' && report.className !== 'StableVideoDiffusionPipeline';
    if (UNUSED.includes(name) || isSpare) continue;
    if (!source.has(name)) {
      problems.push(`the folder ${name} is missing`);
    } else if (name === 'scheduler') {
      await note(problems, async () => {
        const loaded = await readScheduler(source, { pipeline: report.className, className });
        report.scheduler = loaded.scheduler.className;
        problems.push(...loaded.ignored);
        notes.push(...loaded.notes);
      });
      report.scheduler ??= className;
    } else if (name === 'low_res_scheduler') {
      await note(problems, async () => {
        await readLowRes(index, { signal, log: (text) => notes.push(text) });
      });
    } else if (/^tokenizer/.test(name)) {
      await note(problems, async () => {
        tokenizers.set(name, await source.tokenizer(name));
      });
    } else if (kindOf(className)) {
      report.components.push(await inspectComponent(source, name, className, { variant, signal }));
    } else {
      problems.push(`${name} is a ${className}, which this version does not know`);
    }
  }
  const find = (name: string) => report.components.find((component) => component.name === name);
  // Videos begin with a picture, all else with a text.
  const encoder = find('unet')?.className === 'UNetSpatioTemporalConditionModel' ? 'image' : 'text';
  for (const name of ['unet', 'vae', `${encoder}_encoder`]) {
    if (!find(name) && !problems.some((text) => text.includes(`folder ${name} `))) {
      problems.push(`model_index.json names no ${name}`);
    }
  }
  problems.push(...misfits(report.components));
  for (const [name, tokenizer] of tokenizers) {
    const suffix = name.slice('tokenizer'.length);
    const { vocab_size: vocabSize, max_position_embeddings: maxLength = 77 } = textConfig(
      report.components,
      suffix,
    );
    if (typeof vocabSize !== 'number' || typeof maxLength !== 'number') continue;
    await note(problems, () => checkTokenizer(folder, tokenizer, { vocabSize, maxLength }, suffix));
  }
  await note(problems, () => checkChannels(report));
  for (const { name, config } of report.components) {
    const fields = config === undefined ? [] : unknownFields(JSON.parse(config));
    notes.push(...fields.map((text) => `${name}/config.json: ${text}`));
  }
  const own = find('unet')?.config;
  if (own) {
    await note(problems, async () => {
      const config = JSON.parse(own);
      const repairs = unetRepairs(report.className, config);
      const path = source.jsonPath('unet/config.json');
      notes.push(...repairTexts(config, repairs).map((text) => `${path}: ${text}`));
      const unet = JSON.stringify({ ...config, ...repairs });
      const configs = { unet, vae: find('vae')?.config, textEncoder: find('text_encoder')?.config };
      Object.assign(report, await needsOf(configs, signal));
    });
  }
  signal?.throwIfAborted();
  // The memory that broken parts need is unknown; they have said why.
  const told = new Set(report.components.flatMap((component) => component.problems));
  report.problems = problems.filter((text) => !told.has(text));
  return report;
}

type Config = Readonly<Record<string, unknown>>;

function configOf(components: readonly ComponentReport[], name: string): Config {
  return JSON.parse(components.find((component) => component.name === name)?.config ?? '{}');
}

/** A whole CLIP model's configuration has that of its text encoder inside. */
function textConfig(components: readonly ComponentReport[], suffix = ''): Config {
  const config = configOf(components, `text_encoder${suffix}`);
  return typeof config.text_config === 'object' && config.text_config !== null
    ? (config.text_config as Config)
    : config;
}

/** Parts that are fine alone and do not belong together. */
function misfits(components: readonly ComponentReport[]): string[] {
  const [unet, vae, text] = [
    configOf(components, 'unet'),
    configOf(components, 'vae'),
    textConfig(components),
  ];
  const differ = (a: unknown, b: unknown) => typeof a === 'number' && typeof b === 'number' && a !== b;
  const problems: string[] = [];
  // SDXL reads two encoders side by side.
  if (!components.some(({ name }) => name === 'text_encoder_2')) {
    const width = textWidthOf(unet);
    if (differ(text.hidden_size, width)) {
      problems.push(`the text encoder is ${text.hidden_size} wide, the U-Net reads ${width}`);
    }
  }
  if (differ(vae.latent_channels, unet.out_channels)) {
    problems.push(
      `the autoencoder has ${vae.latent_channels} latent channels, the U-Net makes ${unet.out_channels}`,
    );
  }
  return problems;
}

/** The pipeline that the folder names must be able to give the U-Net its inputs. */
function checkChannels({ folder, className, components }: ModelReport): void {
  const unet = configOf(components, 'unet');
  const { _class_name, in_channels: inputs, out_channels: latents } = unet;
  const isText = _class_name === 'UNet2DConditionModel';
  if (!isText || typeof inputs !== 'number' || typeof latents !== 'number') return;
  checkInputs(folder, inputsOfConfig(unet), latents, findPipeline(className)?.family.gives ?? ONLY_LATENTS);
}

async function note(problems: string[], action: () => void | Promise<void>): Promise<void> {
  try {
    await action();
  } catch (error) {
    problems.push(messageOf(error));
  }
}
