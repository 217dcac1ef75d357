import { checkUnchanged } from '../files/random-access.js';
import type { AdaptedWeight } from '../native/adapter-terms.js';
import { native } from '../native/binding.js';
import { finish } from '../native/device.js';
import type { NativeBackend, NativeTextEncoder, TensorShape } from '../native/types.js';
import { loadNative, type NetworkFiles, sourceOf } from './model-files.js';

/** What a text encoder makes of tokens. */
export interface TextEncoderOutput {
  /** [n, length, width]: the final layer norm of the last hidden state, or of an earlier one with `skip`. */
  last: Float32Array;
  /** [n, pooledWidth] */
  pooled: Float32Array;
  /** Those asked for, [n, length, width] each, before the final layer norm. */
  hidden: Float32Array[];
}

export interface TextEncoderLoadOptions {
  signal?: AbortSignal | undefined;
  /** Whether the weights stay in memory between uses (default), or are read from their files each time. */
  keepWeights?: boolean | undefined;
}

/** How tokens are encoded. */
export interface EncodeTextOptions {
  /** Layers left out at the end (diffusers' clip_skip). */
  skip?: number;
  /** Indices of hidden states to return, 0 (embeddings) to `layers`. */
  hidden?: readonly number[];
  /** [rows, width]: the embeddings of the ids from `vocabSize` on. */
  added?: Float32Array | undefined;
  /** Stops it. */
  signal?: AbortSignal | undefined;
}

/** A CLIP text encoder: transformers' CLIPTextModel or CLIPTextModelWithProjection. */
export class CLIPTextModel {
  /** Disposed between uses when the weights are not kept. */
  #handle: NativeTextEncoder;
  readonly #load: (signal?: AbortSignal) => Promise<NativeTextEncoder>;
  readonly #keepWeights: boolean;
  #isLoaded = true;
  #isDisposed = false;
  #users = 0;
  /** What adapters have changed: for weights that are read from their files again. */
  readonly #adapted = new Map<string, AdaptedWeight>();

  private constructor(
    handle: NativeTextEncoder,
    private readonly configText: string,
    load: (signal?: AbortSignal) => Promise<NativeTextEncoder>,
    keepWeights: boolean,
  ) {
    this.#handle = handle;
    this.#load = load;
    this.#keepWeights = keepWeights;
    if (!keepWeights) this.#unload();
  }

  /** @internal */
  static async load(
    backend: NativeBackend,
    found: NetworkFiles,
    { keepWeights = true, signal }: TextEncoderLoadOptions = {},
  ): Promise<CLIPTextModel> {
    const load = (wait?: AbortSignal) =>
      loadNative(found, () => native().loadTextEncoder(backend, sourceOf(found)), wait);
    return new CLIPTextModel(await load(signal), found.configText, load, keepWeights);
  }

  /** Width of the token states. */
  get width(): number {
    return this.#handle.width;
  }

  /** Width of the pooled output. */
  get pooledWidth(): number {
    return this.#handle.pooledWidth;
  }

  /** Layers of the transformer. */
  get layers(): number {
    return this.#handle.layers;
  }

  /** How many tokens it knows; ids are below. */
  get vocabSize(): number {
    return this.#handle.vocabularySize;
  }

  /** Tokens that it takes at most, 77. */
  get maxLength(): number {
    return this.#handle.maxLength;
  }

  /** Encodes token ids [batch, length]. */
  encode(ids: Int32Array, batch: number, options: EncodeTextOptions = {}): Promise<TextEncoderOutput> {
    const { skip = 0, hidden = [], signal } = options;
    // Without them the plan is the one without such rows.
    const added = ids.some((id) => id >= this.vocabSize) ? options.added : undefined;
    const request = { ids, batch, skip, hidden, ...(added && { added }) };
    return this.use(() => finish(() => this.#handle.encode(request), signal), signal);
  }

  /** Has the weights in memory while `work` runs: for several calls of `encode` that should not load them each. */
  use<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    return this.#use(work, [...this.#adapted.values()], signal);
  }

  /** @param adapted what adapters have changed, where the weights are read again. */
  async #use<T>(work: () => Promise<T>, adapted: readonly AdaptedWeight[], signal?: AbortSignal): Promise<T> {
    this.#users++;
    try {
      await this.#reload(adapted, signal);
      return await work();
    } finally {
      if (--this.#users === 0 && !this.#keepWeights) this.#unload();
    }
  }

  /** @internal Every weight that it has, in diffusers' names. */
  weightShapes(): TensorShape[] {
    return native().weightShapes('text_encoder', this.configText);
  }

  /** @internal See Adaptable of lib/native/types.ts; nothing may use it meanwhile. */
  async adapt(weights: readonly AdaptedWeight[]): Promise<void> {
    // Those that are in no memory are looked at, too: what does not fit is to be refused now.
    // Not by the files of what goes, which may be others by now.
    const changed = new Set(weights.map(({ name }) => name));
    const others = [...this.#adapted.values()].filter(({ name }) => !changed.has(name));
    await this.#use(() => finish(() => this.#handle.adapt(weights)), others);
    for (const weight of weights) {
      if (weight.terms.length > 0) this.#adapted.set(weight.name, weight);
      else this.#adapted.delete(weight.name);
    }
  }

  /** @internal A weight with its adapters. */
  readWeight(name: string): Promise<Float32Array> {
    return this.use(() => finish(() => this.#handle.readWeight(name)));
  }

  /** Bytes of the weights in memory. */
  get weightBytes(): number {
    return this.#isLoaded ? this.#handle.memory().weights : 0;
  }

  /** Frees it when no job runs any more; later calls are errors with ERR_DEEPCACHE_DISPOSED. */
  dispose(): void {
    this.#isDisposed = true;
    this.#handle.dispose();
  }

  async #reload(adapted: readonly AdaptedWeight[], signal?: AbortSignal): Promise<void> {
    // A disposed one says so itself when it is called.
    const isReady = () => this.#isLoaded || this.#isDisposed;
    if (isReady()) return;
    const handle = await this.#load(signal);
    try {
      if (adapted.length > 0) {
        await checkFiles(adapted);
        await finish(() => handle.adapt(adapted), signal);
        await checkFiles(adapted);
      }
    } catch (error) {
      handle.dispose();
      throw error;
    }
    // Meanwhile another run may have loaded it too.
    if (isReady()) return handle.dispose();
    this.#handle = handle;
    this.#isLoaded = true;
  }

  #unload(): void {
    this.#handle.dispose();
    this.#isLoaded = false;
  }
}

/** Throws when the adapters' files are others than when they were loaded: their tensors may lie elsewhere in them. */
async function checkFiles(adapted: readonly AdaptedWeight[]): Promise<void> {
  const stamps = new Map(adapted.flatMap((weight) => [...(weight.stamps ?? [])]));
  for (const [path, stamp] of stamps) await checkUnchanged(path, stamp);
}
