import { native } from '../native/binding.js';
import { finish } from '../native/device.js';
import type { NativeBackend, NativeTextEncoder } from '../native/types.js';
import { findModel } from './model-files.js';

export interface TextEncoderOutput {
  /** [n, length, width]: the final layer norm of the last hidden state, or of an earlier one with `skip`. */
  last: Float32Array;
  /** [n, pooledWidth] */
  pooled: Float32Array;
  /** Those asked for, [n, length, width] each, before the final layer norm. */
  hidden: Float32Array[];
}

/** A CLIP text encoder: transformers' CLIPTextModel or CLIPTextModelWithProjection. */
export class CLIPTextModel {
  private constructor(private readonly handle: NativeTextEncoder) {}

  /** @internal */
  static async load(
    backend: NativeBackend,
    folder: string,
    options: { variant?: string | undefined; signal?: AbortSignal | undefined } = {},
  ): Promise<CLIPTextModel> {
    const { configText, files } = await findModel(folder, 'model', options.variant);
    const start = () => native().loadTextEncoder(backend, { config: configText, files });
    return new CLIPTextModel(await finish(start, options.signal));
  }

  /** Width of the token states. */
  get width(): number {
    return this.handle.width;
  }

  get pooledWidth(): number {
    return this.handle.pooledWidth;
  }

  get layers(): number {
    return this.handle.layers;
  }

  /** How many tokens it knows; ids are below. */
  get vocabSize(): number {
    return this.handle.vocabularySize;
  }

  /** Tokens that it takes at most, 77. */
  get maxLength(): number {
    return this.handle.maxLength;
  }

  /**
   * Encodes token ids [batch, length].
   *
   * @param options.skip layers left out at the end (diffusers' clip_skip).
   * @param options.hidden indices of hidden states to return, 0 (embeddings) to `layers`.
   */
  encode(
    ids: Int32Array,
    batch: number,
    options: { skip?: number; hidden?: readonly number[]; signal?: AbortSignal | undefined } = {},
  ): Promise<TextEncoderOutput> {
    const { skip = 0, hidden = [], signal } = options;
    return finish(() => this.handle.encode({ ids, batch, skip, hidden }), signal);
  }

  /** Bytes of the weights. */
  get weightBytes(): number {
    return this.handle.memory().weights;
  }

  dispose(): void {
    this.handle.dispose();
  }
}
