import { invalidArgument } from '../errors.js';
import { clipPixels } from '../images/clip-picture.js';
import type { Image } from '../images/image.js';
import { CLIPVisionModelWithProjection } from '../models/image-encoder.js';
import { findModel } from '../models/model-files.js';
import { CLIPTextModel } from '../models/text-encoder.js';
import { type DeviceOptions, openBackend } from '../native/device.js';
import { inSlices } from '../slices.js';
import { joined } from '../tensor.js';
import { CLIPTokenizer } from '../tokenizers/clip-tokenizer.js';

/** What published models' `logit_scale` is, whose exponential training keeps at 100 or below. */
const LOGIT_SCALE = 100;

/**
 * A whole CLIP model (transformers: CLIPModel): says how well a picture and a text fit each other. Free it with `dispose` or
 * `await using`.
 */
export class ClipModel {
  private constructor(
    private readonly tokenizer: CLIPTokenizer,
    private readonly text: CLIPTextModel,
    private readonly vision: CLIPVisionModelWithProjection,
  ) {}

  /**
   * Loads a folder as transformers saves it, with the tokenizer: `openai/clip-vit-base-patch16` is what published CLIP scores of
   * Stable Diffusion are mostly by.
   *
   * @throws DeepCacheError ERR_DEEPCACHE_INVALID_CONFIG, ERR_DEEPCACHE_INVALID_WEIGHTS, ERR_DEEPCACHE_BACKEND_UNAVAILABLE
   */
  static async fromPretrained(
    folder: string,
    { signal, ...options }: DeviceOptions & { signal?: AbortSignal | undefined } = {},
  ): Promise<ClipModel> {
    const tokenizer = await CLIPTokenizer.fromPretrained(folder, { signal });
    const backend = openBackend(options);
    const found = await findModel(folder, 'model', { signal });
    const text = await CLIPTextModel.load(backend, found, { signal });
    try {
      return new ClipModel(
        tokenizer,
        text,
        await CLIPVisionModelWithProjection.load(backend, found, { signal }),
      );
    } catch (error) {
      text.dispose();
      throw error;
    }
  }

  /**
   * The CLIP score of each picture with its text: 100 times the cosine of their embeddings, or 0 where that is below (Hessel et al.
   * 2021, in torchmetrics' form). Texts are cut off at the tokenizer's length, pictures at a square.
   *
   * @param pictures as many as texts.
   */
  async scores(
    pictures: readonly Image[],
    texts: readonly string[],
    signal?: AbortSignal,
  ): Promise<number[]> {
    if (pictures.length !== texts.length) {
      throw invalidArgument(
        'texts',
        `must be one for each of ${pictures.length} pictures, got ${texts.length}`,
      );
    }
    if (pictures.length === 0) return [];
    const ids = this.tokenizer.encodePadded(texts);
    const { pooled } = await this.text.encode(ids, texts.length, signal && { signal });
    const pixels: Float32Array[] = [];
    const size = this.vision.imageSize;
    for (const picture of pictures) pixels.push((await clipPixels(picture, size, signal)).data);
    const input = { data: await inSlices(joined(pixels), signal), shape: [pictures.length, 3, size, size] };
    const { embeds } = await this.vision.encode(input, signal);
    const width = pooled.length / texts.length;
    const row = (values: Float32Array, i: number) => values.subarray(i * width, (i + 1) * width);
    return texts.map((_, i) => Math.max(0, LOGIT_SCALE * cosine(row(pooled, i), row(embeds, i))));
  }

  /** Frees its memory. */
  dispose(): void {
    this.text.dispose();
    this.vision.dispose();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.dispose();
  }
}

function cosine(a: Float32Array, b: Float32Array): number {
  let [both, first, second] = [0, 0, 0];
  for (const [i, value] of a.entries()) {
    const other = b[i] as number;
    both += value * other;
    first += value * value;
    second += other * other;
  }
  return both / Math.sqrt(first * second);
}
