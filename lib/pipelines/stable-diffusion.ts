import { randomInt } from 'node:crypto';
import { Image } from '../images/image.js';
import { concat, type Tensor } from '../tensor.js';
import { planRun, type RunPlan, runLoop } from './denoise.js';
import { DiffusionPipeline, registerPipeline } from './diffusion-pipeline.js';
import { estimateMemory, requireMemory } from './memory.js';
import { NoiseSource } from './noise.js';
import {
  checkTensor,
  type GenerateOptions,
  type ResolvedOptions,
  resolveOptions,
  toSeed,
} from './options.js';
import { contextOf, encodePrompts } from './prompt.js';
import type { GenerateResult, GenerateStats } from './result.js';
import { settingsOf } from './settings.js';

/** Text to image with Stable Diffusion 1.x and models of its structure. */
export class StableDiffusionPipeline extends DiffusionPipeline {
  static override readonly className: string = 'StableDiffusionPipeline';

  protected override check(options: GenerateOptions): void {
    this.resolve(options);
  }

  protected override async run(given: GenerateOptions): Promise<GenerateResult> {
    const options = this.resolve(given);
    const { batch, width, height, signal } = options;
    const notes: string[] = [];
    const note = (message: string) => notes.push(message);
    const clock = new PhaseClock();
    const guided = options.guidanceScale > 1;
    const scheduler = this.schedulerFor(options);
    const plan = planRun(scheduler, this.unet, options, guided, note);

    const latent = [batch, this.vae.latentChannels, height / this.vae.scale, width / this.vae.scale] as const;
    const size = {
      batch: guided ? 2 * batch : batch,
      height: latent[2],
      width: latent[3],
      contextLength: 77,
    };
    requireMemory(this.components, estimateMemory(this.components, size, options.output !== 'latent'));

    const prompt = await encodePrompts(this.components, options, guided, note);
    clock.lap('encode');

    const noise = new NoiseSource(this.#seeds(options), batch);
    const count = latent[1] * latent[2] * latent[3];
    const latents = scaled(
      options.latents ? checkTensor('latents', options.latents, latent).data : noise.draw(count),
      plan.compiled.initNoiseSigma,
    );
    const draws = await noise.drawMany(plan.compiled.noiseUsed, count);
    signal?.throwIfAborted();
    clock.lap('prepare');

    const loop = await runLoop(
      this.unet,
      {
        batch,
        halves: guided ? 2 : 1,
        height: latent[2],
        width: latent[3],
        table: plan.table,
        latents,
        ...(draws.length > 0 && { noise: draws }),
        context: contextOf(prompt),
        contextLength: prompt.length,
      },
      plan,
      options,
    );
    clock.lap('denoise');

    const result = { data: loop.latents, shape: latent };
    const decoded = options.output === 'latent' ? undefined : await this.decode(result, signal);
    const output = options.output === 'latent' ? result : decoded;
    const images =
      options.output === 'image' && decoded ? await this.#images(decoded, options, noise.seeds) : [];
    clock.lap('decode');
    return {
      images,
      ...(options.output !== 'image' && output && { tensor: output }),
      seeds: [...noise.seeds],
      stats: this.#stats(clock, plan, loop.rowMilliseconds),
      notes,
    };
  }

  /** Latents in model scale -> pixels [n, 3, h, w] in [0, 1], one image at a time to save memory. */
  protected async decode({ data, shape }: Tensor, signal?: AbortSignal): Promise<Tensor> {
    const [batch = 0, ...each] = shape;
    const count = data.length / batch;
    const pixels: Float32Array[] = [];
    for (let i = 0; i < batch; i++) {
      const one = scaled(data.subarray(i * count, (i + 1) * count), 1 / this.vae.scalingFactor);
      const decoded = await this.vae.decode({ data: one, shape: [1, ...each] }, signal);
      pixels.push(decoded.data.map((value) => Math.min(1, Math.max(0, value / 2 + 0.5))));
    }
    const [, height = 0, width = 0] = each.map((extent) => extent * this.vae.scale);
    return { data: concat(pixels), shape: [batch, 3, height, width] };
  }

  protected resolve(options: GenerateOptions): ResolvedOptions {
    return resolveOptions(options, {
      size: this.unet.sampleSize * this.vae.scale,
      scale: this.vae.scale,
      textLayers: this.textEncoder.layers,
    });
  }

  #seeds({ seed, seeds }: ResolvedOptions): bigint[] {
    if (seeds) return seeds.map((value, i) => toSeed(`seeds[${i}]`, value));
    return [seed === undefined ? BigInt(randomInt(2 ** 32)) : toSeed('seed', seed)];
  }

  async #images({ data }: Tensor, options: ResolvedOptions, seeds: readonly bigint[]): Promise<Image[]> {
    const images = Image.fromFloatBatch(data, options.width, options.height);
    images.forEach((image, i) => {
      image.metadata = { parameters: settingsOf(options, this.schedulerFor(options), seeds, i) };
    });
    return images;
  }

  #stats(clock: PhaseClock, { full }: RunPlan, milliseconds: Float64Array): GenerateStats {
    const fullSteps = full.filter(Boolean).length;
    const total = milliseconds.reduce((sum, value) => sum + value, 0);
    const ofFull = milliseconds.reduce((sum, value, i) => sum + (full[i] ? value : 0), 0);
    const unet = this.unet.memory();
    const vae = this.vae.memory();
    return {
      times: clock.times(),
      calls: full.length,
      fullSteps,
      retrieveSteps: full.length - fullSteps,
      speedup: (ofFull / fullSteps) * (full.length / total),
      memory: {
        weights: unet.weights + vae.weights + this.textEncoder.weightBytes,
        arenas: unet.arena + vae.peakArena,
        buffers: unet.buffers,
      },
    };
  }
}

registerPipeline(StableDiffusionPipeline);

function scaled(data: Float32Array, factor: number): Float32Array {
  return data.map((value) => value * factor);
}

/** Seconds of the phases of a run. */
class PhaseClock {
  readonly #start = performance.now();
  #last = this.#start;
  readonly #times = { encode: 0, prepare: 0, denoise: 0, decode: 0 };

  lap(phase: 'encode' | 'prepare' | 'denoise' | 'decode'): void {
    const now = performance.now();
    this.#times[phase] = (now - this.#last) / 1000;
    this.#last = now;
  }

  times(): GenerateStats['times'] {
    return { ...this.#times, total: (this.#last - this.#start) / 1000 };
  }
}
