import { cp, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { writing } from '../lib/cli/output-file.js';
import { DeepCacheError, invalidConfig } from '../lib/errors.js';
import { writeFileAtomic } from '../lib/files/atomic-write.js';
import { isFolder } from '../lib/files/read.js';
import { FolderSource } from '../lib/models/folder-source.js';
import { findModel } from '../lib/models/model-files.js';
import type { PartSource } from '../lib/models/part-source.js';
import type { ModelIndex } from '../lib/pipelines/loading/parts.js';
import { openWeights } from '../lib/weights/open.js';
import { networksOf, type PartOptions, plain, readPart, readWholePart } from './model-parts.js';
import { writePublishedTokenizer } from './published-tokenizer.js';
import type { Task } from './run-tasks.js';

/** Texts that belong to a model; weights in other formats and pictures do not. */
const COPIED = /\.(json|txt|md|model)$/;
const STEMS = ['diffusion_pytorch_model', 'model'];

/** Configurations of what has no weights. */
const OTHER_FILES = [
  'scheduler/scheduler_config.json',
  'low_res_scheduler/scheduler_config.json',
  'feature_extractor/preprocessor_config.json',
];

interface FolderOptions extends PartOptions {
  outputVariant?: string | undefined;
}

/** The weights of a model folder, or of one of its components. Copies the small files, unless there is no output. */
export async function folderTasks(
  input: string,
  output: string | undefined,
  options: FolderOptions,
): Promise<Task[]> {
  const folders = [''];
  const entries = await readdir(input, { withFileTypes: true });
  if (output !== undefined)
    folders.push(...entries.filter((entry) => entry.isDirectory()).map(({ name }) => name));
  const tasks: Task[] = [];
  await checkNetworks(input, options);
  for (const folder of folders) {
    const task = await component(join(input, folder), output && join(output, folder), options);
    if (task) tasks.push(task);
  }
  if (tasks.length === 0) {
    throw invalidConfig(input, 'has no weights beside a config.json, nor do the folders in it');
  }
  return tasks;
}

/** Throws where a network of a model lacks weights: what is written would not load either, and nobody would know why. */
async function checkNetworks(input: string, options: PartOptions): Promise<void> {
  const source = new FolderSource(input);
  if (!source.hasJson('model_index.json')) return;
  const { value } = await source.json('model_index.json', options);
  for (const name of networksOf(source, value)) {
    try {
      await readWholePart(source, name, options);
    } catch (error) {
      // Types change of other networks, too, of which is not known what they ask for.
      const isOther = error instanceof DeepCacheError && OTHER_NETWORKS.includes(error.code);
      if (!isOther) throw error;
    }
  }
}

const OTHER_NETWORKS: readonly string[] = ['ERR_DEEPCACHE_UNSUPPORTED', 'ERR_DEEPCACHE_INVALID_CONFIG'];

/** Copies the small files of a folder; returns its weights if it has any. */
async function component(
  input: string,
  output: string | undefined,
  { outputVariant, ...options }: FolderOptions,
): Promise<Task | undefined> {
  const names = (await readdir(input, { withFileTypes: true }))
    .filter((entry) => !entry.isDirectory())
    .map(({ name }) => name);
  const weights = names.filter((name) => /\.(safetensors|bin)(\.|$)/.test(name));
  const copied = names.filter((name) => COPIED.test(name) && !/\.index\./.test(name));
  if (weights.length + copied.length === 0) return undefined;
  if (output !== undefined) {
    await writing(output, () => mkdir(output, { recursive: true }));
    for (const name of copied) await cp(join(input, name), join(output, name));
  }
  if (weights.length === 0 || !names.includes('config.json')) return undefined;
  const stem = STEMS.find((candidate) =>
    weights.some((name) => name.replace(/^pytorch_model/, 'model').startsWith(candidate)),
  );
  if (!stem) throw invalidConfig(input, `has no ${STEMS.join('.safetensors and no ')}.safetensors`);
  const { files } = await findModel(input, stem, options);
  const opened = await Promise.all(files.map((path) => openWeights(path, options)));
  return {
    tensors: opened.flatMap((file) => file.tensors.map(plain)),
    metadata: Object.assign({}, ...opened.map((file) => file.metadata)),
    output: join(output ?? '', weightsName(stem, outputVariant)),
  };
}

/** A single file's model as a folder: its networks; writes configurations and tokenizers. */
export async function networkTasks(
  { source, value: index }: ModelIndex,
  output: string,
  { config, outputVariant, ...options }: FolderOptions & { config?: string | undefined },
): Promise<Task[]> {
  const put = (name: string, value: unknown) =>
    writing(output, async () => {
      await mkdir(join(output, name, '..'), { recursive: true });
      await writeFileAtomic(join(output, name), `${JSON.stringify(value, null, 2)}\n`);
    });
  const tasks: Task[] = [];
  for (const name of networksOf(source, index)) {
    const { network, tensors } = await readPart(source, name, options);
    await put(`${name}/config.json`, network.config);
    const stem = /encoder/.test(name) ? 'model' : 'diffusion_pytorch_model';
    const file = join(output, name, weightsName(stem, outputVariant));
    tasks.push({ tensors: tensors.map(plain), metadata: { format: 'pt' }, output: file });
  }
  for (const name of Object.keys(index)) {
    if (/^tokenizer/.test(name) && source.has(name)) {
      await copyTokenizer(source, name, join(output, name), config, options);
    }
  }
  for (const name of OTHER_FILES) {
    if (source.hasJson(name)) await put(name, (await source.json(name, options)).value);
  }
  await put('model_index.json', index);
  return tasks;
}

async function copyTokenizer(
  source: PartSource,
  name: string,
  output: string,
  config: string | undefined,
  options: PartOptions,
): Promise<void> {
  const given = config !== undefined && isFolder(join(config, name)) ? join(config, name) : undefined;
  await writing(output, async () => {
    await mkdir(output, { recursive: true });
    if (given !== undefined) {
      for (const file of await readdir(given))
        if (COPIED.test(file)) await cp(join(given, file), join(output, file));
      return;
    }
    const { padTokenId, eosTokenId } = await source.tokenizer(name, options);
    await writePublishedTokenizer(output, padTokenId === eosTokenId ? '<|endoftext|>' : '!', options.signal);
  });
}

function weightsName(stem: string, variant: string | undefined): string {
  return `${stem}${variant === undefined ? '' : `.${variant}`}.safetensors`;
}
