import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { type UnetDefaults, unetDefaults } from '../configs/unet-size.js';
import { UNET_CONFIGS } from '../configs/unets.js';
import type { CacheOptions } from '../deepcache/index.js';
import { invalidArgument, invalidConfig } from '../errors.js';
import { type JsonObject, readJson } from '../files/json.js';
import { isFolder, statOf } from '../files/read.js';
import { resolveModel } from '../library/resolve.js';
import { native } from '../native/binding.js';
import { finish } from '../native/device.js';
import type { UnetSize } from '../native/types.js';
import { readModelIndex } from '../pipelines/loading/model-index.js';
import { collect, toCount, toList } from './arguments.js';
import { CACHE_HELP, CACHE_SETTINGS_HELP, toCacheOptions } from './cache-option.js';
import type { CliContext } from './context.js';
import { countBeside } from './macs-beside.js';
import { countRun, gatedPlans, layoutOf, macsText } from './macs-report.js';
import { EXIT_CODES_HELP } from './run.js';

interface Flags {
  config?: string;
  modelName?: string;
  width?: number;
  height?: number;
  latentWidth?: number;
  latentHeight?: number;
  batch: number;
  frames?: number;
  contextLength?: number;
  imageTokens?: number[];
  steps: number;
  cache?: CacheOptions;
  controlNet?: string[];
  controlCache?: 'hold' | 'live';
  t2iAdapter?: string[];
  json?: boolean;
}

/** `deepcache macs`: what steps and runs of a U-Net cost, from its configuration alone. */
export function macsCommand(context: CliContext): Command {
  return new Command('macs')
    .description(
      "Count the multiply-accumulates of a U-Net's full step, of cached steps for each DeepCache branch, " +
        'and of a whole run. Needs no weights.',
    )
    .argument('[model]', 'a model folder, its unet folder, or a single file')
    .addOption(new Option('--config <file>', 'config.json of a U-Net').conflicts('modelName'))
    .addOption(
      new Option('--model-name <name>', 'a published U-Net (default: sd15)').choices(
        Object.keys(UNET_CONFIGS),
      ),
    )
    .option('--width <pixels>', "of the image; default: the model's own size", toCount)
    .option('--height <pixels>', 'the same', toCount)
    .addOption(new Option('--latent-width <n>', 'instead of --width').argParser(toCount).conflicts('width'))
    .addOption(
      new Option('--latent-height <n>', 'instead of --height').argParser(toCount).conflicts('height'),
    )
    .option('--batch <n>', 'samples or videos, twice as many with guidance', toCount, 1)
    .option('--frames <n>', "of a video; default: the model's own", toCount)
    .option('--context-length <n>', "tokens of the prompt; default: 77, or the model's own", toCount)
    .option(
      '--image-tokens <n,...>',
      'that IP-Adapters make of their pictures: 4 of each, for Plus 16',
      toList(toCount),
    )
    .option('--steps <n>', 'U-Net calls of the run', toCount, 50)
    .option('-c, --cache <settings>', `DeepCache: ${CACHE_HELP}`, toCacheOptions)
    .option('--control-net <path>', 'a ControlNet beside it, its folder or file; may be repeated', collect)
    .addOption(
      new Option('--control-cache <how>', 'with --cache: ControlNets held between full calls, or live')
        .choices(['hold', 'live'])
        .default('hold'),
    )
    .option('--t2i-adapter <path>', 'a T2I-Adapter, which runs once; may be repeated', collect)
    .option('--json', 'print the counts as JSON, not in billions')
    .addHelpText('after', `${COLUMNS_HELP}\n${CACHE_SETTINGS_HELP}\n${EXIT_CODES_HELP}`)
    .action(async (given: string | undefined, flags: Flags) => {
      const { signal } = context;
      const folder =
        given === undefined ? undefined : (await resolveModel(given, { offline: true, signal })).path;
      const { name, text, value } = await readConfig(folder, flags);
      const defaults = unetDefaults(value);
      const size = sizeOf(defaults, flags);
      const planOf = (size: UnetSize) => finish(() => native().planUnet(text, size), signal);
      const plan = await planOf(size);
      const beside = await countBeside(flags, value as JsonObject, size, defaults.scale, signal);
      const run = flags.cache === undefined ? undefined : await runOf(flags.cache);
      async function runOf(cache: CacheOptions) {
        const layout = layoutOf(plan, flags.steps, cache);
        return countRun(plan, layout, cache, await gatedPlans(layout.calls, size, planOf), beside);
      }
      if (flags.json)
        context.out(`${JSON.stringify({ model: name, size, ...plan, ...beside, run }, null, 2)}\n`);
      else context.out(macsText(name, size, defaults.scale, plan, beside, run));
    });
}

const COLUMNS_HELP = `
Columns, in billions (GMACs):
  repo      as the DeepCache project's own counter counts: layers with weights, without the products of attention
  complete  convolutions, linear layers and both products of attention
  executed  what this package computes in a run`;

async function readConfig(
  folder: string | undefined,
  { config, modelName }: Flags,
): Promise<{ name: string; text: string; value: Readonly<Record<string, unknown>> }> {
  if (folder !== undefined && (config ?? modelName) !== undefined) {
    throw invalidArgument('folder', 'and --config or --model-name exclude each other');
  }
  if (folder === undefined && config === undefined) {
    const name = modelName ?? 'sd15';
    const value = UNET_CONFIGS[name] as Readonly<Record<string, unknown>>;
    return { name, text: JSON.stringify(value), value };
  }
  if (folder !== undefined && statOf(folder)?.isFile()) {
    const { source } = await readModelIndex(folder);
    const { text, value } = await source.json(source.has('unet') ? 'unet/config.json' : 'config.json');
    return { name: folder, text, value };
  }
  const path = config ?? configIn(folder as string);
  return { name: path, ...(await readJson(path)) };
}

function configIn(folder: string): string {
  if (!isFolder(folder)) throw invalidConfig(folder, 'is not a folder');
  const candidates = ['unet/config.json', 'config.json'].map((name) => join(folder, name));
  const path = candidates.find((candidate) => existsSync(candidate));
  if (!path) throw invalidConfig(folder, 'has neither unet/config.json nor config.json');
  return path;
}

function sizeOf({ scale, contextLength, ...own }: UnetDefaults, flags: Flags): UnetSize {
  if (flags.frames !== undefined && own.frames === undefined) {
    throw invalidArgument('frames', 'is for the U-Nets of videos only');
  }
  const frames = own.frames === undefined ? 1 : (flags.frames ?? own.frames);
  const latent = (name: 'width' | 'height', pixels?: number, latents?: number): number => {
    if (latents !== undefined) return latents;
    if (pixels === undefined) return own[name];
    if (pixels % scale !== 0) throw invalidArgument(name, `must be a multiple of ${scale}, got ${pixels}`);
    return pixels / scale;
  };
  return {
    batch: flags.batch * frames,
    ...(frames > 1 && { frames }),
    height: latent('height', flags.height, flags.latentHeight),
    width: latent('width', flags.width, flags.latentWidth),
    contextLength: flags.contextLength ?? contextLength,
    ...(flags.imageTokens && { imageTokens: flags.imageTokens }),
  };
}
