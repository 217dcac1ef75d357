import { native } from '../native/binding.js';
import { type Device, finish, openBackend } from '../native/device.js';
import { staged } from '../native/staging.js';
import type {
  NativeBackend,
  NativeVae,
  PlanInfo,
  VaePlanInfo,
  VaeRequest,
  VaeSize,
} from '../native/types.js';
import type { Tensor } from '../tensor.js';
import { LatentScale } from './latent-scale.js';
import { loadNative, type NetworkFiles, type Repair, repaired, sourceOf } from './model-files.js';
import { Plans } from './plans.js';
import { needsTiles, runTiled, type Tiling } from './tiling.js';

export interface AutoencoderLoadOptions {
  signal?: AbortSignal | undefined;
  /**
   * Follow the configuration's `force_upcast`. Only some pipelines do, as in diffusers: SD 1.x and 2.x decode well in
   * fp16, whatever the configuration says.
   */
  upcast?: boolean;
  repair?: Repair;
}

export interface AutoencoderCallOptions {
  tiling?: Tiling | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * The image autoencoder (diffusers' AutoencoderKL). Pixels are NCHW in [-1, 1]. That of videos
 * (AutoencoderKLTemporalDecoder) decodes a batch as frames that follow each other; latent diffusion's VQ models only
 * decode; AutoencoderTiny (TAESD) has no posterior; AsymmetricAutoencoderKL can decode with a picture in mind.
 */
export class AutoencoderKL {
  readonly #plans = new Plans((size: VaeSize) => native().planVae(this.configText, size));

  private constructor(
    private readonly handle: NativeVae,
    private readonly configText: string,
    /** Its config.json. */
    readonly config: Readonly<Record<string, unknown>>,
    /** Between its latents and those in model scale. */
    readonly latentScale: LatentScale,
    /** Of its activations: bf16 in fp16 pipelines that follow `force_upcast`. */
    readonly dtype: NativeBackend['dtype'],
  ) {}

  /** @internal */
  static async load(
    backend: NativeBackend,
    found: NetworkFiles,
    options: AutoencoderLoadOptions = {},
  ): Promise<AutoencoderKL> {
    const files = repaired(found, options.repair);
    const { configFile, configText, config } = files;
    // diffusers takes a configuration that does not say it for true.
    const own = options.upcast && config.force_upcast !== false ? withoutOverflow(backend) : backend;
    const start = () => native().loadVae(own, sourceOf(files));
    const handle = await loadNative(found, start, options.signal);
    try {
      const { scalingFactor, latentChannels } = handle;
      const scale = new LatentScale(scalingFactor, latentChannels, config, configFile);
      return new AutoencoderKL(handle, configText, config, scale, own.dtype);
    } catch (error) {
      handle.dispose();
      throw error;
    }
  }

  /** Its configuration. */
  toJSON(): object {
    return this.config;
  }

  /** What console.log shows. */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return `${this.constructor.name} on ${this.handle.device}`;
  }

  /** Latents in model scale are the encoder's times this, where {@link latentScale} is plain. */
  get scalingFactor(): number {
    return this.handle.scalingFactor;
  }

  /** Whether {@link encode} gives a posterior; otherwise it gives the latents. */
  get hasPosterior(): boolean {
    return this.handle.hasPosterior;
  }

  /** Channels of latents, 4 in published models. */
  get latentChannels(): number {
    return this.handle.latentChannels;
  }

  /** Image pixels of a latent one, in each axis: 8. */
  get scale(): number {
    return this.handle.scale;
  }

  /** Image pixels of the pictures that it was trained on, which are the tiles of diffusers' tiled decoding. */
  get sampleSize(): number {
    const { sample_size: size } = this.config;
    const side = Number(Array.isArray(size) ? size[0] : size);
    // At least four latent pixels, with which a quarter of it is whole.
    return side >= 4 * this.scale ? side - (side % (4 * this.scale)) : 512;
  }

  /**
   * The posterior of an image [n, 3, h, w]: its mean and log variance [n, 2 * latent, h / scale, w / scale]. The log
   * variance is not clamped. Without a posterior ({@link hasPosterior}): its latents.
   *
   * @param input its `tiling` is in image pixels, multiples of `scale`; results differ a little from those in one piece.
   */
  async encode(image: Tensor, { tiling, signal }: AutoencoderCallOptions = {}): Promise<Tensor> {
    const run = async (tile: Tensor) => {
      const own = await request(tile, signal);
      return finish(() => this.handle.encode(own), signal);
    };
    const [, , height = 0, width = 0] = image.shape;
    if (!tiling || !needsTiles(tiling, height, width)) return run(image);
    return runTiled(image, { tiling, scale: 1 / this.scale, run, join: this.#join });
  }

  /**
   * Latents [n, c, h, w] in the autoencoder's own scale -> pixels [n, 3, h * scale, w * scale], not clamped.
   *
   * @param input its `tiling` is in image pixels, multiples of `scale`; results differ a little from those in one piece.
   */
  async decode(latents: Tensor, { tiling, signal }: AutoencoderCallOptions = {}): Promise<Tensor> {
    const run = async (tile: Tensor) => {
      const own = await request(tile, signal);
      return finish(() => this.handle.decode(own), signal);
    };
    const [, , height = 0, width = 0] = latents.shape;
    const inLatents = tiling && {
      tile: tiling.tile / this.scale,
      overlap: tiling.overlap / this.scale,
    };
    if (!inLatents || !needsTiles(inLatents, height, width)) return run(latents);
    return runTiled(latents, { tiling: inLatents, scale: this.scale, run, join: this.#join });
  }

  /**
   * The same with an image [n, 3, h, w] that is to be seen where `mask` [n, 1, h, w] is 0, both in the result's size: an
   * AsymmetricAutoencoderKL was trained to, others refuse it.
   */
  async decodeMasked(
    latents: Tensor,
    { image, mask }: { image: Tensor; mask: Tensor },
    { signal }: Pick<AutoencoderCallOptions, 'signal'> = {},
  ): Promise<Tensor> {
    const own = { ...(await request(latents, signal)), image: image.data, mask: mask.data };
    return finish(() => this.handle.decode(own), signal);
  }

  /** Bytes that decoding one image of so many latent pixels allocates; `batch`: frames of a video. */
  async decodeBytes(
    size: { height: number; width: number; batch?: number },
    options: AutoencoderCallOptions = {},
  ): Promise<number> {
    return bytesOf((await this.#plan(size, options)).decode);
  }

  /** The same for encoding one. */
  async encodeBytes(
    size: { height: number; width: number },
    options: AutoencoderCallOptions = {},
  ): Promise<number> {
    const { encode } = await this.#plan(size, options);
    return encode ? bytesOf(encode) : 0;
  }

  /** Bytes of the weights, and of the largest arena that a call has used. */
  memory(): { weights: number; peakArena: number } {
    return this.handle.memory();
  }

  /** @internal For tests: the values that plans label. */
  get native(): NativeVae {
    return this.handle;
  }

  /** Frees it when no job runs any more; later calls are errors with ERR_DEEPCACHE_DISPOSED. */
  dispose(): void {
    this.handle.dispose();
  }

  get #join(): 'fade' | 'mask' {
    return this.hasPosterior ? 'fade' : 'mask';
  }

  #plan(
    { height, width, batch = 1 }: { height: number; width: number; batch?: number },
    { tiling, signal }: AutoencoderCallOptions,
  ): Promise<VaePlanInfo> {
    const most = tiling ? tiling.tile / this.scale : Number.POSITIVE_INFINITY;
    const { device } = this.handle;
    const size = { batch, height: Math.min(height, most), width: Math.min(width, most), device };
    return this.#plans.of(size, signal);
  }
}

/**
 * The backend for an autoencoder whose activations exceed fp16's 65504, such as SDXL's. bf16 has fp32's range; diffusers
 * takes fp32 there, at twice the memory and a quarter of the speed for differences that 8-bit pixels hardly show.
 */
function withoutOverflow(backend: NativeBackend): NativeBackend {
  if (backend.device === 'cpu' || backend.dtype === 'bf16') return backend;
  return openBackend({ device: backend.device as Device, dtype: 'bf16' });
}

function bytesOf({ arenaBytes, externalBytes }: PlanInfo): number {
  return arenaBytes + externalBytes;
}

async function request({ data, shape }: Tensor, signal?: AbortSignal): Promise<VaeRequest> {
  const [batch = 0, , height = 0, width = 0] = shape;
  return { data: await staged(data, signal), batch, height, width };
}
