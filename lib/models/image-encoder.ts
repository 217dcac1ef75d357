import { native } from '../native/binding.js';
import { finish } from '../native/device.js';
import type { NativeBackend, NativeImageEncoder } from '../native/types.js';
import type { Tensor } from '../tensor.js';
import { loadNative, type NetworkFiles, sourceOf } from './model-files.js';

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

  /** Normalised pixels [n, 3, size, size] -> embeddings [n, width], and the last layer's tokens [n, tokens, width]. */
  async encode(pixels: Tensor, signal?: AbortSignal): Promise<{ embeds: Float32Array; last: Float32Array }> {
    const batch = pixels.shape[0] as number;
    return finish(() => this.handle.encode({ pixels: pixels.data, batch }), signal);
  }

  /** Frees it when no job runs any more; later calls are errors with ERR_DEEPCACHE_DISPOSED. */
  dispose(): void {
    this.handle.dispose();
  }
}
