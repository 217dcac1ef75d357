import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { Command } from 'commander';
import { type DeepCacheError, invalidArgument, invalidConfig, messageOf } from '../errors.js';
import { statOf } from '../files/read.js';
import { modelsFolder } from '../library/library.js';
import { meantFolder } from '../models/demo-model.js';
import { FolderSource } from '../models/folder-source.js';
import { devices } from '../native/device.js';
import { type IndexOptions, readModelIndex } from '../pipelines/loading/model-index.js';
import { openWeights } from '../weights/open.js';
import { type CliContext, ExitCode } from './context.js';
import { flagsNamed } from './flags.js';
import { PLACES } from './generate-options.js';
import { deviceText } from './inspect-devices.js';
import { classNameOf, inspectComponent, kindOf, reportJson } from './inspection/component.js';
import { fileKindOf } from './inspection/file-kind.js';
import { inspectLibrary, placeOf } from './inspection/library.js';
import { inspectModel, type ModelReport } from './inspection/model.js';
import { inspectPicture, pictureFormat } from './inspection/picture.js';
import { componentText, fileText, modelText, problemText } from './inspection/report.js';
import { type Branch, treeOf, treeText } from './inspection/tree.js';
import { valueProblems } from './inspection/values.js';
import { EXIT_CODES_HELP } from './run.js';
import { StatusLine } from './status-line.js';

interface Flags extends Omit<IndexOptions, 'signal'> {
  json?: boolean;
  variant?: string;
  checkWeights?: boolean;
  modelsDir?: string;
}

/** What was found, as an object for `--json` and as text. */
interface Inspection {
  json: unknown;
  text: string;
  problems: number;
}

/** `deepcache inspect`: what a folder or file holds, or which devices there are. */
export function inspectCommand(context: CliContext): Command {
  const command = new Command('inspect')
    .description(
      'Show what a model folder, one of its components or a file of weights holds, and what is wrong with it; the settings ' +
        'in a picture; or, for "devices", what this machine can compute on.',
    )
    .argument('[what]', 'a folder, a file, a name in --models-dir, or the word devices')
    .option('--models-dir <folder>', 'a folder of models of another program; alone: list what is there')
    .option('--variant <name>', 'prefer weight files of this variant, such as fp16')
    .option('--check-weights', 'read all weights and look for infinities and NaNs')
    .option('--json', 'print it as JSON')
    .addHelpText('after', EXIT_CODES_HELP);
  for (const flag of flagsNamed(PLACES)) command.addOption(flag);
  return command.action(async (what: string | undefined, flags: Flags) => {
    const { json, text, problems } = await inspection(what, flags, context);
    context.out(flags.json ? `${JSON.stringify(json, null, 2)}\n` : text);
    if (problems > 0) context.exitCode = ExitCode.failure;
  });
}

async function inspection(what: string | undefined, flags: Flags, context: CliContext): Promise<Inspection> {
  const { modelsDir } = flags;
  const { signal } = context;
  if (what === 'devices') return inspectDevices();
  if (what !== undefined) {
    return inspect(await placeOf(meantFolder(what), { modelsDir, signal }), flags, context);
  }
  const folder = modelsFolder(modelsDir);
  if (folder === undefined)
    throw invalidArgument('what', 'is missing: a folder, a file, or the word devices');
  return inspectLibrary(folder, signal);
}

async function inspect(
  path: string,
  { variant, checkWeights, json: _, ...places }: Flags,
  context: CliContext,
): Promise<Inspection> {
  const check = async (file: string, problems: string[]) => {
    if (checkWeights) problems.push(...(await checkValues(file, context)));
  };

  const isFile = statOf(path)?.isFile() ?? false;
  const format = isFile ? await pictureFormat(path) : undefined;
  if (format) return inspectPicture(path, format, context.signal);
  const options = { ...places, variant, signal: context.signal };
  const noModel =
    !isFile || basename(path) === 'model_index.json' ? undefined : await whyNoModel(path, options);
  if (noModel !== undefined) {
    const problems: string[] = [];
    await check(path, problems);
    return inspectFile(path, noModel, problems, context.signal);
  }
  const configFile = join(path, 'config.json');
  if (isFile || existsSync(join(path, 'model_index.json')) || !existsSync(configFile)) {
    const report = await inspectModel(path, options);
    const checked = new Set<string>();
    for (const { paths, problems } of report.components) {
      // Those of a single file are all in it.
      for (const file of paths.filter((one) => !checked.has(one))) await check(file, problems);
      for (const file of paths) checked.add(file);
    }
    const problems = [report, ...report.components].reduce((sum, part) => sum + part.problems.length, 0);
    const components = report.components.map(reportJson);
    const tree =
      isFile && basename(path) !== 'model_index.json' ? await usedOf(path, report, context.signal) : [];
    const text = modelText(report) + (tree.length > 0 ? `\n${treeText(tree)}` : '');
    return { json: { ...report, components, ...(tree.length > 0 && { tree }) }, text, problems };
  }
  const className = await classNameOf(configFile);
  if (className === undefined || !kindOf(className)) {
    const what = className
      ? `is a ${className}`
      : 'has neither a model_index.json nor a class in its config.json';
    throw invalidConfig(path, `${what}; it must be a model folder or its unet, vae or text_encoder`);
  }
  const report = await inspectComponent(new FolderSource(path), '', className, options);
  for (const file of report.paths) await check(file, report.problems);
  return { json: reportJson(report), text: componentText(report), problems: report.problems.length };
}

/** What of a model's single file is loaded, and what is not. */
async function usedOf(path: string, { components }: ModelReport, signal: AbortSignal): Promise<Branch[]> {
  const { tensors } = await openWeights(path, { signal });
  const used = components.flatMap(({ places = [] }) =>
    places.filter(({ file }) => file === path).map(({ offset }) => offset),
  );
  return treeOf(tensors, new Set(used));
}

/** What a file is that is neither a whole model nor a U-Net whose other parts could be given. */
async function whyNoModel(path: string, options: IndexOptions): Promise<string | undefined> {
  try {
    await readModelIndex(path, options);
    return undefined;
  } catch (error) {
    // A file of another kind is shown as what it is.
    const { code, message = '' } = error as Partial<DeepCacheError>;
    const isKnown = code === 'ERR_DEEPCACHE_INVALID_CONFIG' || code === 'ERR_DEEPCACHE_UNSUPPORTED';
    if (!isKnown) throw error;
    return message.startsWith(`${path}: `) ? message.slice(path.length + 2) : message;
  }
}

/** @throws DeepCacheError ERR_DEEPCACHE_INVALID_WEIGHTS when the file is damaged. */
async function inspectFile(
  path: string,
  reason: string,
  problems: readonly string[],
  signal: AbortSignal,
): Promise<Inspection> {
  const file = await openWeights(path, { signal });
  const kind = fileKindOf(file, reason);
  const tree = treeOf(file.tensors);
  const text = fileText(file, kind, tree) + (problems.length > 0 ? `\n${problemText(problems)}` : '');
  const tensors = file.tensors.map(({ name, dtype, shape, bytes }) => ({ name, dtype, shape, bytes }));
  const { format, metadata } = file;
  const json = { path, format, ...kind, metadata, tree, tensors, ...(problems.length > 0 && { problems }) };
  return { json, text, problems: problems.length };
}

async function checkValues(file: string, context: CliContext): Promise<string[]> {
  const line = new StatusLine(context);
  try {
    return await valueProblems(file, (name) => line.show(`reading ${name}`, false), context.signal);
  } catch (error) {
    context.signal.throwIfAborted();
    return [messageOf(error)];
  } finally {
    line.clear();
  }
}

function inspectDevices(): Inspection {
  const all = devices();
  return { json: all, text: deviceText(all), problems: 0 };
}
