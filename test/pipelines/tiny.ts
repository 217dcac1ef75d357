import { schedulerNames } from '../../lib/entries/schedulers.js';
import {
  DiffusionPipeline,
  type GenerateOptions,
  type StableDiffusionPipeline,
  type StepEvent,
  type Tensor,
} from '../../lib/index.js';
import type { LoadOptions } from '../../lib/pipelines/loading/parts.js';
import type { LatentPreview } from '../../lib/previews/latent-preview.js';

/** SD 1.5's architecture with few channels: a run takes milliseconds. */
export const FOLDER = 'test/fixtures/sd15-tiny';

/** Its size in pixels, and how many latent numbers an image of it has. */
export const SIZE = 64;
export const LATENT = 4 * 8 * 8;

export async function loadTiny(options: LoadOptions = {}): Promise<StableDiffusionPipeline> {
  const loading = DiffusionPipeline.fromPretrained(FOLDER, { device: 'cpu', log: () => {}, ...options });
  return (await loading) as StableDiffusionPipeline;
}

/** The latents of a short run: what most tests compare. Options may be wrong ones. */
export async function latentsOf(pipe: DiffusionPipeline, options: object = {}): Promise<Float32Array> {
  const prompt = 'promptEmbeds' in options ? {} : { prompt: 'a lighthouse' };
  const run = { ...prompt, steps: 3, seed: 7, output: 'latent', ...options } as GenerateOptions;
  return numbersOf(await pipe.generate(run));
}

/** The numbers of a result with output 'latent' or 'float32'. */
export function numbersOf({ tensor }: { tensor?: Tensor | undefined }): Float32Array {
  if (!tensor) throw new Error('the result has no tensor');
  return tensor.data;
}

/** What a promise rejects with. */
export async function rejection(work: Promise<unknown>): Promise<{ code?: unknown; message: string }> {
  try {
    await work;
  } catch (error) {
    return error as { code?: unknown; message: string };
  }
  throw new Error('nothing was rejected');
}

/** Without the types that keep TypeScript users from the mistakes of JavaScript users. */
export function untyped(options: object): GenerateOptions {
  return options as GenerateOptions;
}

/** Relative L2 distance. */
export function distance(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Number.NaN;
  let [error, norm] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    error += ((actual[i] as number) - (expected[i] as number)) ** 2;
    norm += (expected[i] as number) ** 2;
  }
  return Math.sqrt(error / norm);
}

/** Whether all bits are equal, and there are any. */
export function sameBits(a: Float32Array, b: Float32Array): boolean {
  const bytes = ({ buffer, byteOffset, byteLength }: Float32Array) =>
    Buffer.from(buffer, byteOffset, byteLength);
  return a.length > 0 && bytes(a).equals(bytes(b));
}

/** The part of a batch that belongs to one image. */
export function imageOf(data: Float32Array, index: number, images: number): Float32Array {
  const length = data.length / images;
  return data.subarray(index * length, (index + 1) * length);
}

/** The previews of a run of four calls, of every second one unless options say otherwise. */
export async function previewsOf(one: DiffusionPipeline, options: object = {}): Promise<LatentPreview[]> {
  const previews: LatentPreview[] = [];
  const onStep = ({ preview }: StepEvent) => {
    if (preview) previews.push(preview);
  };
  const run = { prompt: 'a', steps: 4, seed: 1, scheduler: 'DDIM', output: 'latent', previewEvery: 2 };
  await one.generate({ ...run, ...options, onStep } as never);
  return previews;
}

/** All samplers but RePaint, which is for a part of a picture, and for DDPM models (repaint.test.ts). */
export const latentSchedulerNames = () => schedulerNames().filter((name) => name !== 'RePaintScheduler');
