import { resolve } from 'node:path';
import { invalidArgument, invalidWeights } from '../errors.js';
import { show } from '../messages.js';
import { CLIPVisionModelWithProjection } from '../models/image-encoder.js';
import { findModel, loadNative, sourceOf } from '../models/model-files.js';
import type { UNetModel } from '../models/unet.js';
import { unknownName } from '../names.js';
import { native } from '../native/binding.js';
import type { NativeBackend, NativeIpAdapter } from '../native/types.js';
import { type CrossAttention, crossAttentions, type IpAdapterFile, readIpAdapter } from './read.js';

/** An IP-Adapter of a pipeline. */
export interface IpAdapterInfo {
  /** What `loadIpAdapter` called it. */
  readonly name: string;
  /** The file that it was read from. */
  readonly file: string;
  /** The first 12 digits of the SHA-256 of its values. */
  readonly hash: string;
  /** Whether it looks at all parts of a picture (Plus), or at the whole. */
  readonly kind: 'base' | 'plus';
  /** Tokens that a picture becomes. */
  readonly tokens: number;
}

/** One that is loaded. */
export interface LoadedIpAdapter extends IpAdapterFile {
  readonly name: string;
  readonly path: string;
  /** What settings say in the place of its path. */
  readonly label: string | undefined;
  readonly native: NativeIpAdapter;
  readonly encoder: CLIPVisionModelWithProjection | undefined;
  /** As it was given. */
  readonly encoderFolder: string | undefined;
}

/** The IP-Adapters of models that pipelines share. */
export class IpAdapters {
  #loaded: readonly LoadedIpAdapter[] = [];
  /** By their folders: adapters of one kind have the same. */
  readonly #encoders = new Map<string, CLIPVisionModelWithProjection>();
  #attentions: readonly CrossAttention[] | undefined;

  constructor(private readonly parts: { readonly backend: NativeBackend; readonly unet: UNetModel }) {}

  get loaded(): readonly LoadedIpAdapter[] {
    return this.#loaded;
  }

  get list(): IpAdapterInfo[] {
    return this.#loaded.map(({ name, path, hash, readsTokens, tokens }) => ({
      name,
      file: path,
      hash,
      kind: readsTokens ? 'plus' : 'base',
      tokens,
    }));
  }

  /** The U-Net's cross attentions, in the order of a full pass. */
  get attentions(): readonly CrossAttention[] {
    this.#attentions ??= crossAttentions(this.parts.unet.weightShapes());
    return this.#attentions;
  }

  /** Bytes of the weights. */
  get weightBytes(): number {
    const encoders = [...this.#encoders.values()].reduce((sum, { weightBytes }) => sum + weightBytes, 0);
    return this.#loaded.reduce((sum, one) => sum + one.native.memory().weights, encoders);
  }

  /** Throws when the name cannot be given to another one. */
  requireFree(name: string): void {
    if (!this.#loaded.some((other) => other.name === name)) return;
    throw invalidArgument(
      'name',
      `is taken: there is an IP-Adapter ${show(name)}; unload it, or give another name`,
    );
  }

  /** With the exclusive use of the models, as all that follows. All or nothing. */
  async add(
    name: string,
    path: string,
    { folder, label }: { folder: string | undefined; label?: string | undefined },
    signal: AbortSignal | undefined,
  ): Promise<IpAdapterInfo> {
    this.requireFree(name);
    const file = await readIpAdapter(path, this.attentions, signal);
    const encoder = folder === undefined ? undefined : await this.#encoder(resolve(folder), signal);
    const width = file.readsTokens ? encoder?.width : encoder?.projectionWidth;
    try {
      if (width !== undefined && width !== file.imageWidth) {
        throw invalidWeights(
          path,
          `is for another image encoder: it reads ${file.imageWidth} values, ${folder} gives ${width}`,
        );
      }
      const start = () => native().loadIpAdapter(this.parts.backend, sourceOf(file.network));
      const loaded = await loadNative(file.network, start, signal);
      this.#loaded = [
        ...this.#loaded,
        { ...file, name, path, label, native: loaded, encoder, encoderFolder: folder },
      ];
    } finally {
      this.#freeEncoders();
    }
    return this.list.at(-1) as IpAdapterInfo;
  }

  /** Of one, or of all. */
  remove(name: string | undefined): void {
    const names = this.#loaded.map((one) => one.name);
    if (name !== undefined && !names.includes(name)) {
      const known = names.length > 0 ? unknownName(name, names) : 'none is loaded';
      throw invalidArgument('name', `is no IP-Adapter of this pipeline: ${show(name)}; ${known}`);
    }
    const goes = (one: LoadedIpAdapter) => name === undefined || one.name === name;
    for (const one of this.#loaded) if (goes(one)) one.native.dispose();
    this.#loaded = this.#loaded.filter((one) => !goes(one));
    this.#freeEncoders();
  }

  dispose(): void {
    this.remove(undefined);
  }

  async #encoder(folder: string, signal: AbortSignal | undefined): Promise<CLIPVisionModelWithProjection> {
    const known = this.#encoders.get(folder);
    if (known) return known;
    const found = await findModel(folder, 'model', { signal });
    const encoder = await CLIPVisionModelWithProjection.load(this.parts.backend, found, { signal });
    this.#encoders.set(folder, encoder);
    return encoder;
  }

  /** Those that no adapter uses. */
  #freeEncoders(): void {
    for (const [folder, encoder] of this.#encoders) {
      if (this.#loaded.some((one) => one.encoder === encoder)) continue;
      encoder.dispose();
      this.#encoders.delete(folder);
    }
  }
}
