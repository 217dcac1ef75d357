import { join } from 'node:path';
import { clipPixels } from '../../../lib/images/clip-picture.js';
import { loadImages } from '../../../lib/images/input.js';
import type { Tensor } from '../../../lib/tensor.js';
import type { Tolerance } from '../compare.js';
import type { Findings } from '../findings.js';
import type { GoldenCase } from '../goldens.js';
import type { Models } from '../models.js';
import { everyNth } from './svd.js';

/** A picture of a case at the size that an encoder reads. */
export async function pictureOf(golden: GoldenCase, file: string, size: number): Promise<Tensor> {
  const loaded = await loadImages('image_file', join(golden.folder, file), 3);
  const [first] = 'images' in loaded ? loaded.images : [];
  if (!first) throw new Error(`${file} is no picture`);
  return clipPixels(await first.read(undefined), size);
}

/** CLIP's image encoder from the pixels of a file on. */
export async function checkImageEncoder(
  golden: GoldenCase,
  findings: Findings,
  models: Models,
): Promise<void> {
  const encoder = await models.imageEncoder(join(golden.folder, String(golden.field('image_encoder'))));
  const pixels = await pictureOf(golden, String(golden.field('image_file')), encoder.imageSize);
  const { pixel_values_stride4: own } = golden.field<Record<string, Tolerance>>('tolerance') ?? {};
  findings.tensor('pixel_values_stride4', everyNth(pixels, 4), own);
  const { embeds, last, penultimate } = await encoder.encode(pixels);
  findings.tensor('image_embeds', embeds);
  findings.tensor('last_hidden_state', last);
  findings.tensor('hidden_states_penultimate', penultimate);
  const zeros = { data: new Float32Array(pixels.data.length), shape: pixels.shape };
  findings.tensor('zeros_hidden_states_penultimate', (await encoder.encode(zeros)).penultimate);
}
