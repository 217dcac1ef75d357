import { native } from '../native/binding.js';
import { finish } from '../native/device.js';
import type { NativeBackend, NativeVae, VaeRequest } from '../native/types.js';
import type { Tensor } from '../tensor.js';
import { findModel } from './model-files.js';

/** The image autoencoder (diffusers' AutoencoderKL). Pixels are NCHW in [-1, 1]. */
export class AutoencoderKL {
  private constructor(
    private readonly handle: NativeVae,
    private readonly configText: string,
  ) {}

  /** @internal */
  static async load(
    backend: NativeBackend,
    folder: string,
    options: { variant?: string | undefined; signal?: AbortSignal | undefined } = {},
  ): Promise<AutoencoderKL> {
    const { configText, files } = await findModel(folder, 'diffusion_pytorch_model', options.variant);
    const start = () => native().loadVae(backend, { config: configText, files });
    return new AutoencoderKL(await finish(start, options.signal), configText);
  }

  /** Latents in model scale are the encoder's times this. */
  get scalingFactor(): number {
    return this.handle.scalingFactor;
  }

  get latentChannels(): number {
    return this.handle.latentChannels;
  }

  /** Image pixels of a latent one, in each axis: 8. */
  get scale(): number {
    return this.handle.scale;
  }

  /**
   * The posterior of an image [n, 3, h, w]: its mean and log variance [n, 2 * latent, h / scale, w / scale]. The log
   * variance is not clamped.
   */
  async encode(image: Tensor, signal?: AbortSignal): Promise<Tensor> {
    return finish(() => this.handle.encode(request(image)), signal);
  }

  /** Latents [n, c, h, w] divided by the scaling factor -> pixels [n, 3, h * scale, w * scale], not clamped. */
  async decode(latents: Tensor, signal?: AbortSignal): Promise<Tensor> {
    return finish(() => this.handle.decode(request(latents)), signal);
  }

  /** Bytes that decoding one image of so many latent pixels allocates. */
  decodeBytes({ height, width }: { height: number; width: number }): number {
    const { decode } = native().planVae(this.configText, { batch: 1, height, width });
    return decode.arenaBytes + decode.externalBytes;
  }

  /** Bytes of the weights, and of the largest arena that a call has used. */
  memory(): { weights: number; peakArena: number } {
    return this.handle.memory();
  }

  /** @internal For tests: the values that plans label. */
  get native(): NativeVae {
    return this.handle;
  }

  dispose(): void {
    this.handle.dispose();
  }
}

function request({ data, shape }: Tensor): VaeRequest {
  const [batch = 0, , height = 0, width = 0] = shape;
  return { data, batch, height, width };
}
