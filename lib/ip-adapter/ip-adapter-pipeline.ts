import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Loras } from '../adapters/loras.js';
import { invalidArgument } from '../errors.js';
import type { Log } from '../log.js';
import { show } from '../messages.js';
import { checkNames } from '../names.js';
import type { GenerateOptions } from '../pipelines/inputs/options.js';
import type { SDParts, XLParts } from '../pipelines/loading/parts.js';
import { T2IAdapterPipeline } from '../t2i-adapter/t2i-adapter-pipeline.js';
import { type IpAdapterInfo, IpAdapters } from './ip-adapters.js';

/** How an IP-Adapter is loaded. */
export interface LoadIpAdapterOptions {
  /**
   * The folder of the CLIP image encoder that it was trained with; by default the folder image_encoder beside the file, if
   * there is one. Without an encoder only `ipAdapterImageEmbeds` can be given.
   */
  imageEncoder?: string;
  /** What it is called from then on; by default its file's name without the ending. */
  name?: string;
  /** What pictures' settings say of it in the place of its path and its encoder's. */
  label?: string;
  /** Stops reading the files, and waiting for a turn. */
  signal?: AbortSignal;
}

/**
 * A pipeline that takes pictures beside the prompt, by IP-Adapters (docs/ip-adapter.md). Pipelines over the same models
 * ({@link DiffusionPipeline.from}) have the same ones. Loading and unloading take their turn, as those of LoRA do.
 */
export abstract class IpAdapterPipeline<
  Options extends GenerateOptions,
  Parts extends SDParts | XLParts,
> extends T2IAdapterPipeline<Options, Parts> {
  constructor(components: Parts, log?: Log) {
    super(components, log);
    components.models.ipAdapters ??= new IpAdapters(components);
  }

  /** Its IP-Adapters, in the order in which they were loaded: that of the lists that runs take. */
  get ipAdapters(): IpAdapterInfo[] {
    return this.#adapters.list;
  }

  /**
   * Loads an IP-Adapter beside those that are there (diffusers: load_ip_adapter). It counts in runs that are given a
   * picture, `ipAdapterImage`.
   *
   * @param file safetensors, or the pickle (.bin) of the original code.
   * @throws DeepCacheError ERR_DEEPCACHE_INVALID_WEIGHTS for a file that is none, or is for another kind of model or image
   * encoder; ERR_DEEPCACHE_INVALID_ARGUMENT for a name that is taken. Nothing has changed then.
   */
  async loadIpAdapter(file: string, options: LoadIpAdapterOptions = {}): Promise<IpAdapterInfo> {
    if (typeof file !== 'string' || file === '')
      throw invalidArgument('file', `must be a path, got ${show(file)}`);
    checkNames(options, ['imageEncoder', 'name', 'label', 'signal']);
    const { name = Loras.nameOf(file), imageEncoder = encoderBeside(file), label, signal } = options;
    if (typeof name !== 'string' || name === '')
      throw invalidArgument('name', `must be a text, got ${show(name)}`);
    if (imageEncoder !== undefined && (typeof imageEncoder !== 'string' || imageEncoder === ''))
      throw invalidArgument('imageEncoder', `must be a folder, got ${show(imageEncoder)}`);
    this.#adapters.requireFree(name);
    return this.change(() => this.#adapters.add(name, file, { folder: imageEncoder, label }, signal), signal);
  }

  /** Takes an IP-Adapter away, or all of them (diffusers: unload_ip_adapter). */
  async unloadIpAdapter(name?: string, { signal }: { signal?: AbortSignal } = {}): Promise<void> {
    return this.change(async () => this.#adapters.remove(name), signal);
  }

  get #adapters(): IpAdapters {
    return this.components.models.ipAdapters as IpAdapters;
  }
}

/** Where published adapters have it. */
function encoderBeside(file: string): string | undefined {
  const folder = join(dirname(file), 'image_encoder');
  return existsSync(folder) ? folder : undefined;
}
