import type { Command } from 'commander';
import { invalidArgument } from '../errors.js';
import { resolveExtra } from '../library/resolve.js';
import type { EngineNetworks } from '../server/engine/index.js';
import { collect } from './arguments.js';

/** Networks of a server, by names. */
export interface NetworkFlags {
  lora?: string[];
  controlNet?: string[];
  t2iAdapter?: string[];
  ipAdapter?: string[];
  imageEncoder?: string;
  upscaler?: string[];
  embedding?: string[];
  modelsDir?: unknown;
}

const repeat = 'repeat it for several';

/** Adds the flags of networks to a command. */
export function addNetworkFlags(command: Command): Command {
  return command
    .optionsGroup('What requests may use besides, by names:')
    .option('--lora <name=file>', `an adapter, in prompts <lora:name:0.8>; ${repeat}`, collect)
    .option('--control-net <name=path>', `a ControlNet; ${repeat}`, collect)
    .option('--t2i-adapter <name=path>', `a T2I-Adapter; ${repeat}`, collect)
    .option('--ip-adapter <name=file>', `an IP-Adapter; ${repeat}`, collect)
    .option('--image-encoder <folder>', 'of the IP-Adapters (default: image_encoder beside each)')
    .option('--upscaler <name=file>', `a network that enlarges pictures; ${repeat}`, collect)
    .option(
      '--embedding <token=file>',
      `a textual inversion, and the word that stands for it; ${repeat}`,
      collect,
    );
}

/**
 * What the flags name; names in the folder of models are looked up.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for a value that is no name and place.
 */
export async function servedNetworks(flags: NetworkFlags, signal: AbortSignal): Promise<EngineNetworks> {
  const { imageEncoder } = flags;
  if (imageEncoder !== undefined && !flags.ipAdapter)
    throw invalidArgument('imageEncoder', 'is for pictures beside the prompt: give --ip-adapter too');
  const find = (kind: 'lora' | 'embedding') => (file: string) =>
    resolveExtra(kind, file, {
      ...{ signal, option: kind },
      ...(typeof flags.modelsDir === 'string' && { modelsDir: flags.modelsDir }),
    });
  const as = async (path: string) => path;
  const faces = await named('ipAdapter', flags.ipAdapter, as);
  return {
    loras: await named('lora', flags.lora, find('lora')),
    controlNets: await named('controlNet', flags.controlNet, as),
    t2iAdapters: await named('t2iAdapter', flags.t2iAdapter, as),
    upscalers: await named('upscaler', flags.upscaler, as),
    embeddings: await named('embedding', flags.embedding, find('embedding')),
    ipAdapters:
      imageEncoder === undefined
        ? faces
        : Object.fromEntries(Object.entries(faces).map(([name, file]) => [name, { file, imageEncoder }])),
  };
}

async function named(
  option: string,
  texts: readonly string[] = [],
  find: (place: string) => Promise<string>,
): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const text of texts) {
    const [, name, place] = /^([\w .-]{1,100})=(.+)$/s.exec(text) ?? [];
    if (name === undefined || place === undefined)
      throw invalidArgument(option, 'must be NAME=PLACE, such as watercolor=loras/watercolor.safetensors');
    if (Object.hasOwn(found, name)) throw invalidArgument(option, `has two called ${name}`);
    found[name] = await find(place);
  }
  return found;
}
