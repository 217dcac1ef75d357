import { invalidArgument } from '../errors.js';
import { floatsToPixels } from '../images/floats.js';
import { Image } from '../images/image.js';
import { type ImageSource, loadPicture } from '../images/input.js';
import { show } from '../messages.js';
import { loadNative } from '../models/model-files.js';
import { checkNames } from '../names.js';
import { native } from '../native/binding.js';
import { type DeviceOptions, finish, openBackend } from '../native/device.js';
import { staged } from '../native/staging.js';
import type { NativeUpscaler } from '../native/types.js';
import { checkSignal, whole } from '../options/checks.js';
import { inSlices } from '../slices.js';
import type { Tensor } from '../tensor.js';
import { openWeights } from '../weights/open.js';
import { readArchitecture } from './architecture.js';
import { type UpscaleTiling, USUAL_PAD, USUAL_TILE, upscaleTiled } from './tiles.js';

/** What loading an upscaler takes. */
export interface UpscalerLoadOptions extends DeviceOptions {
  /** Of a SRVGGNetCompact without slopes of its own, whose file does not say it. Default 'relu'. */
  activation?: 'relu' | 'leakyrelu' | undefined;
  /** What pictures' settings say of it in the place of its path. */
  label?: string | undefined;
  /** Stops loading. */
  signal?: AbortSignal | undefined;
}

/** How a picture is enlarged. */
export interface UpscaleOptions {
  /** Side of the tiles that it is cut in, which bounds the memory; 0: in one piece. Default 512. */
  tile?: number;
  /** Pixels around a tile that are computed with it. Default 10. */
  tilePad?: number;
  /** Pixels that are added at the right and the bottom by reflection, and cut off again. Default 0. */
  prePad?: number;
  /** Stops it between tiles, and within one. */
  signal?: AbortSignal | undefined;
}

/**
 * A network that enlarges pictures: RRDBNet (ESRGAN, Real-ESRGAN) or SRVGGNetCompact, from a file as they are published.
 */
export class Upscaler {
  private constructor(
    private readonly handle: NativeUpscaler,
    /** The file that it was loaded from. */
    readonly file: string,
    /** What it is, as its tensors tell. */
    readonly config: Readonly<Record<string, string | number>>,
    /** What pictures' settings say of it: the path of the file, unless it was loaded with another label. */
    readonly label: string = file,
  ) {}

  /**
   * Loads a file: safetensors or .pth, under the names of Real-ESRGAN, ESRGAN's two code bases, or with `params_ema`.
   * Nothing in a pickle is run.
   *
   * @throws DeepCacheError ERR_DEEPCACHE_UNSUPPORTED, ERR_DEEPCACHE_INVALID_WEIGHTS, ERR_DEEPCACHE_OUT_OF_MEMORY
   */
  static async fromPretrained(file: string, options: UpscalerLoadOptions = {}): Promise<Upscaler> {
    checkNames(options, ['device', 'dtype', 'threads', 'autotune', 'activation', 'label', 'signal'], '');
    const { signal, activation = 'relu', label, ...device } = options;
    if (activation !== 'relu' && activation !== 'leakyrelu')
      throw invalidArgument('activation', `must be 'relu' or 'leakyrelu', got ${show(activation)}`);
    if (typeof file !== 'string' || file === '') throw invalidArgument('file', 'must be the path of a file');
    if (signal !== undefined) checkSignal(signal);
    const weights = await openWeights(file, { signal });
    const { config, tensors } = readArchitecture(file, weights.tensors, activation);
    const backend = openBackend(device);
    const stamps = new Map([[file, weights.stamp]]);
    const start = () => native().loadUpscaler(backend, { config: JSON.stringify(config), tensors });
    const handle = await loadNative({ place: file, configFile: file, stamps }, start, signal);
    return new Upscaler(handle, file, config, label);
  }

  /** Pixels of a result for one of the picture, in each axis. */
  get scale(): number {
    return this.handle.scale;
  }

  /** Where it runs: 'cpu' or 'cuda:0'. */
  get device(): string {
    return this.handle.device;
  }

  /** Bytes of its weights. */
  get weightBytes(): number {
    return this.handle.memory().weights;
  }

  /** Enlarges one picture. Its texts stay with it. */
  async upscale(image: ImageSource, options: UpscaleOptions = {}): Promise<Image> {
    const { signal } = options;
    const tiling = tilingOf(options);
    const picture = await loadPicture('image', image, signal);
    const { width, height, metadata } = picture;
    const pixels = { data: await picture.toFloat(), shape: [1, 3, height, width] };
    const { data } = await this.#run(pixels, tiling, signal);
    const size = { width: width * this.scale, height: height * this.scale };
    const rgb = await inSlices(floatsToPixels(data, 'unit'), signal);
    return new Image({ ...size, data: rgb, metadata });
  }

  /** Enlarges pictures [n, channels, h, w] from 0 to 1; the result is not clamped. */
  upscaleTensor(image: Tensor, options: UpscaleOptions = {}): Promise<Tensor> {
    return this.#run(image, tilingOf(options), options.signal);
  }

  /** Frees it when no job runs any more; later calls are errors with ERR_DEEPCACHE_DISPOSED. */
  dispose(): void {
    this.handle.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** What console.log shows. */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return `Upscaler x${this.scale} on ${this.device}`;
  }

  #run(image: Tensor, tiling: UpscaleTiling, signal?: AbortSignal): Promise<Tensor> {
    const { scale, multiple } = this.handle;
    const run = async ({ data, shape }: Tensor): Promise<Tensor> => {
      signal?.throwIfAborted();
      const [batch = 0, , height = 0, width = 0] = shape;
      const request = { data: await staged(data, signal), batch, height, width };
      return finish(() => this.handle.upscale(request), signal);
    };
    return upscaleTiled(image, { ...tiling, scale, multiple, run });
  }
}

const MOST = 16_384;

function tilingOf(options: UpscaleOptions): UpscaleTiling {
  checkNames(options, ['tile', 'tilePad', 'prePad', 'signal'], '');
  if (options.signal !== undefined) checkSignal(options.signal);
  return {
    tile: whole('tile', options.tile, USUAL_TILE, 0, MOST),
    tilePad: whole('tilePad', options.tilePad, USUAL_PAD, 0, MOST),
    prePad: whole('prePad', options.prePad, 0, 0, MOST),
  };
}
