import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Image } from '../../lib/images/image.js';
import { native } from '../../lib/native/binding.js';
import type { Tensors } from '../adapters/adapter-files.js';

export const FIXTURES = join(import.meta.dirname, '..', 'fixtures', 'fid');

/** What record.py beside it recorded. */
export function recorded<T>(name: string): T {
  return JSON.parse(readFileSync(join(FIXTURES, name), 'utf8'));
}

export const floats = (base64: string) =>
  new Float32Array(Uint8Array.from(Buffer.from(base64, 'base64')).buffer);

export interface RecordedInception {
  sizes: [height: number, width: number][];
  shapes: Record<string, number[]>;
  features: string[];
}

/** The made-up network of record.py, with the layer that FID leaves out. */
export function inceptionTensors(): Tensors {
  const { shapes } = recorded<RecordedInception>('inception.json');
  const tensors = Object.entries(shapes).map(([name, shape]) => {
    const values = native().synthesize(name, shape);
    const isMean = name.endsWith('.running_mean');
    const data = name.endsWith('.conv.weight')
      ? values.map((value) => 1.5 * value)
      : isMean
        ? values.map((value) => value - 1)
        : values;
    return [name, { shape, data }] as const;
  });
  return { ...Object.fromEntries(tensors), 'fc.bias': { shape: [1008], data: new Float32Array(1008) } };
}

/** Waves and edges, by whole numbers alone: picture() of record.py. */
export function picture(height: number, width: number, seed: number): Image {
  const data = new Uint8Array(height * width * 3);
  const half = Math.trunc;
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < 3; c++) {
        const wave = half((x * x * (c + 1)) / 7) + y * (seed + 2 * c) + half((x * y) / 11);
        data[(y * width + x) * 3 + c] = (wave + ((half(x / 9) + half(y / 13)) % 2) * 90) % 256;
      }
  return new Image({ width, height, data });
}
