import { invalidWeights } from '../errors.js';
import type { Image } from '../images/image.js';
import { interpolate } from '../images/interpolate.js';
import { loadNative } from '../models/model-files.js';
import { native } from '../native/binding.js';
import { finish, openBackend } from '../native/device.js';
import type { NativeInception } from '../native/inception-types.js';
import { forEachIndex, inSlices } from '../slices.js';
import { openWeights } from '../weights/open.js';
import type { StoredTensor } from '../weights/stored-tensor.js';

/** What loading an Inception network takes. */
export interface InceptionOptions {
  /** Of the CPU, where it runs; by default one for each core that the process may use. */
  threads?: number | undefined;
  /** Stops loading. */
  signal?: AbortSignal | undefined;
}

/** Pictures of a pass: its memory is some 20 MB for each. */
const MOST_PICTURES = 8;
/** What FID's network tells apart, and torchvision's. */
const [CLASSES, OTHER_CLASSES] = [1008, 1000];

/**
 * The Inception v3 that Fréchet Inception distances are by: that of 2015-12-05, in the layout of pytorch-fid's
 * `pt_inception-2015-12-05-6726825d.pth`. It runs on the CPU in fp32, whatever pictures were made on: figures of different
 * machines are to be comparable. Free it with `dispose`.
 */
export class InceptionV3 {
  private constructor(private readonly handle: NativeInception) {}

  /**
   * Loads a file: .pth, of which nothing is run, or safetensors.
   *
   * @throws DeepCacheError ERR_DEEPCACHE_INVALID_WEIGHTS for what is no such network, torchvision's own too.
   */
  static async fromPretrained(
    file: string,
    { threads, signal }: InceptionOptions = {},
  ): Promise<InceptionV3> {
    const { tensors, stamp } = await openWeights(file, { signal });
    checkNetwork(file, tensors);
    const backend = openBackend({ device: 'cpu', ...(threads !== undefined && { threads }) });
    const start = () => native().loadInception(backend, { config: '{}', tensors });
    const found = { place: file, configFile: file, stamps: new Map([[file, stamp]]) };
    return new InceptionV3(await loadNative(found, start, signal));
  }

  /** Features of a picture: 2048. */
  get width(): number {
    return this.handle.width;
  }

  /** Bytes of its weights. */
  get weightBytes(): number {
    return this.handle.memory().weights;
  }

  /**
   * The features of pool3: [pictures, 2048]. Pictures of any size are resized to 299x299 as pytorch-fid does, with
   * torch's bilinear interpolation without smoothing.
   */
  async features(pictures: readonly Image[], signal?: AbortSignal): Promise<Float32Array> {
    const { side, width } = this.handle;
    const out = new Float32Array(pictures.length * width);
    for (let first = 0; first < pictures.length; first += MOST_PICTURES) {
      const some = pictures.slice(first, first + MOST_PICTURES);
      const pixels = new Float32Array(some.length * 3 * side * side);
      for (const [i, picture] of some.entries())
        pixels.set(await inceptionPixels(picture, side, signal), i * 3 * side * side);
      out.set(
        await finish(() => this.handle.features({ pixels, batch: some.length }), signal),
        first * width,
      );
    }
    return out;
  }

  /** Frees it when no job runs any more; later calls are errors with ERR_DEEPCACHE_DISPOSED. */
  dispose(): void {
    this.handle.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** [3, side, side] from -1 to 1. */
async function inceptionPixels(picture: Image, side: number, signal?: AbortSignal): Promise<Float32Array> {
  const { width, height } = picture;
  const floats = { data: await picture.toFloat('unit'), shape: [1, 3, height, width] };
  const { data } = await inSlices(interpolate(floats, { width: side, height: side }), signal);
  await inSlices(
    forEachIndex(data.length, (i) => {
      data[i] = 2 * (data[i] as number) - 1;
    }),
    signal,
  );
  return data;
}

/** Figures of another network of the same layers would look like FID, and be no such thing. */
function checkNetwork(file: string, tensors: readonly StoredTensor[]): void {
  const classes = tensors.find(({ name }) => name === 'fc.weight')?.shape[0];
  const isTorchvision = tensors.some(({ name }) => name.startsWith('AuxLogits.'));
  if (isTorchvision || classes === OTHER_CLASSES) {
    throw invalidWeights(
      file,
      "is torchvision's Inception v3, which figures of FID are not by; pytorch-fid's pt_inception-2015-12-05-6726825d.pth is",
    );
  }
  if (classes !== undefined && classes !== CLASSES)
    throw invalidWeights(file, `is a network of ${classes} classes; FID's has ${CLASSES}`);
}
