import { native } from '../native/binding.js';
import { finish } from '../native/device.js';
import type { NativeBackend, NativeImageEncoder } from '../native/types.js';
import type { Tensor } from '../tensor.js';
import { loadNative, type NetworkFiles, sourceOf } from './model-files.js';

/** What an image encoder makes of pictures. */
export interface ImageEncoderOutput {
  /** [n, projectionWidth] */
  readonly embeds: Float32Array;
  /** [n, tokens, width]: the last layer's output. */
  readonly last: Float32Array;
  /** [n, tokens, width]: that of the layer before (transformers' hidden_states[-2]). */
  readonly penultimate: Float32Array;
}

/** CLIP's image encoder (transformers' CLIPVisionModelWithProjection). */
export class CLIPVisionModelWithProjection {
  private constructor(private readonly handle: NativeImageEncoder) {}

  /** @internal */
  static async load(
    backend: NativeBackend,
    found: NetworkFiles,
    { signal }: { signal?: AbortSignal | undefined } = {},
  ): Promise<CLIPVisionModelWithProjection> {
    const start = () => native().loadImageEncoder(backend, sourceOf(found));
    return new CLIPVisionModelWithProjection(await loadNative(found, start, signal));
  }

  /** Pixels of its pictures, which are square: 224. */
  get imageSize(): number {
    return this.handle.imageSize;
  }

  /** Width of the embeddings. */
  get projectionWidth(): number {
    return this.handle.projection;
  }

  /** Bytes of the weights. */
  get weightBytes(): number {
    return this.handle.memory().weights;
  }

  /** Width of a token. */
  get width(): number {
    return this.handle.width;
  }

  /** Tokens of a picture: one for each patch, and one for the whole. */
  get tokens(): number {
    return this.handle.tokens;
  }

  /** Normalised pixels [n, 3, size, size] -> what the encoder makes of them. */
  async encode(pixels: Tensor, signal?: AbortSignal): Promise<ImageEncoderOutput> {
    const batch = pixels.shape[0] as number;
    return finish(() => this.handle.encode({ pixels: pixels.data, batch }), signal);
  }

  /** Frees it when no job runs any more; later calls are errors with ERR_DEEPCACHE_DISPOSED. */
  dispose(): void {
    this.handle.dispose();
  }
}
