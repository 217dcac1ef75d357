import { basename, join } from 'node:path';
import { type InterpolationMode, interpolate } from '../../../lib/images/interpolate.js';
import { inOneGo } from '../../../lib/slices.js';
import type { Tensor } from '../../../lib/tensor.js';
import type { Findings } from '../findings.js';
import type { GoldenCase } from '../goldens.js';
import type { Models } from '../models.js';

/** Every file that is listed, which all hold the same network; in tiles where the case has some. */
export async function checkUpscaler(golden: GoldenCase, findings: Findings, models: Models): Promise<void> {
  const tiles = {
    tile: golden.field<number>('tile_size') ?? 0,
    tilePad: golden.field<number>('tile_pad') ?? 0,
    prePad: golden.field<number>('pre_pad') ?? 0,
  };
  const activation = golden.field<{ act_type?: string }>('geometry')?.act_type;
  for (const file of golden.field<string[]>('files') ?? [await onlyFile(golden)]) {
    const upscaler = await models.upscaler(join(golden.modelFolder, file), activation);
    const { data } = await upscaler.upscaleTensor(golden.tensor('image') as Tensor, tiles);
    findings.tensor('out', data);
  }
}

async function onlyFile(golden: GoldenCase): Promise<string> {
  const same = golden.siblings.find(
    (other) => other.modelFolder === golden.modelFolder && other.field<string[]>('files'),
  );
  return same?.field<string[]>('files')?.[0] ?? `${basename(golden.modelFolder)}.safetensors`;
}

export function checkInterpolate(golden: GoldenCase, findings: Findings): void {
  const [height = 0, width = 0] = golden.field<number[]>('size') ?? [];
  const mode = golden.field<InterpolationMode>('mode');
  const antialias = golden.field<boolean>('antialias');
  const { data } = inOneGo(interpolate(golden.tensor('x') as Tensor, { width, height }, mode, antialias));
  findings.tensor('out', data);
}
