import { normalizeForClip, resizeAntialiased } from '../../images/clip-resize.js';
import type { AutoencoderKL } from '../../models/autoencoder-kl.js';
import type { CLIPVisionModelWithProjection } from '../../models/image-encoder.js';
import { inSlices, mapParts } from '../../slices.js';
import { joined, type Tensor } from '../../tensor.js';
import { toSigned } from '../outputs/pixels.js';

/** What a video U-Net reads besides latents and time; [unconditional, conditional] with guidance. */
export interface VideoConditions {
  /** [halves, 1, width]: CLIP's embedding of the picture, zeros without it. */
  context: Float32Array;
  contextLength: 1;
  /** [halves, 3]: fps - 1, motion bucket, noise augmentation. */
  timeIds: Float32Array;
  /** Latents of the noised picture at every frame, zeros without it: [halves * frames, c, h, w]. */
  constant: Float32Array;
}

export interface VideoConditionOptions {
  /** The picture at the video's size [1, 3, h, w], from 0 to 1. */
  image: Tensor;
  /** The same picture at any size, for CLIP. */
  original: Tensor;
  /** Normal numbers of the image's shape. */
  imageNoise: Float32Array;
  frames: number;
  fps: number;
  motionBucketId: number;
  noiseAugStrength: number;
  guided: boolean;
  signal?: AbortSignal | undefined;
}

/** diffusers: StableVideoDiffusionPipeline._encode_image, _encode_vae_image and _get_add_time_ids. */
export async function conditionVideo(
  { imageEncoder, vae }: { imageEncoder: CLIPVisionModelWithProjection; vae: AutoencoderKL },
  options: VideoConditionOptions,
): Promise<VideoConditions> {
  const { frames, fps, motionBucketId, noiseAugStrength, guided, signal } = options;
  const original = { ...options.original, data: await inSlices(toSigned(options.original.data), signal) };
  const pixels = await inSlices(resizeAntialiased(original, imageEncoder.imageSize), signal);
  const { embeds } = await imageEncoder.encode(normalizeForClip(pixels), signal);

  const { shape } = options.image;
  const data = await inSlices(toSigned(options.image.data), signal);
  const added = mapParts(
    data,
    (value, i) => value + Math.fround(noiseAugStrength * (options.imageNoise[i] as number)),
  );
  const noisy = await inSlices(added, signal);
  const { data: moments } = await vae.encode({ data: noisy, shape }, { signal });
  // The posterior's mode, not scaled.
  const mode = moments.subarray(0, moments.length / 2);
  const each = await inSlices(joined(new Array<Float32Array>(frames).fill(mode)), signal);
  const ids = Float32Array.of(fps - 1, motionBucketId, noiseAugStrength);
  const both = async (values: Float32Array, without: Float32Array) =>
    guided ? inSlices(joined([without, values]), signal) : values;
  return {
    context: await both(embeds, new Float32Array(embeds.length)),
    contextLength: 1,
    timeIds: await both(ids, ids),
    constant: await both(each, new Float32Array(each.length)),
  };
}

/** Guidance of each frame: from the first one's to the last one's (torch.linspace). */
export function guidanceOfFrames(min: number, max: number, frames: number): number[] {
  const step = frames > 1 ? (max - min) / (frames - 1) : 0;
  // From both ends, as PyTorch has it.
  return Array.from({ length: frames }, (_, i) =>
    Math.fround(i < frames / 2 ? min + i * step : max - (frames - 1 - i) * step),
  ).map((scale, i) => (i === 0 ? Math.fround(min) : scale));
}
