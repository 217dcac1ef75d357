import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { native } from '../../lib/native/binding.js';
import type { ModelSource, NativeBackend } from '../../lib/native/types.js';
import type { StepRow, StepTable } from '../../lib/schedulers/table.js';

/** A model folder in the diffusers layout: SD1.5's architecture with few channels. */
export const FOLDER = 'test/fixtures/sd15-tiny';

export const backend: NativeBackend = new (native().Backend)({ device: 'cpu', threads: 0 });

export function source(
  part: 'unet' | 'text_encoder' | 'vae',
  folder = FOLDER,
): ModelSource & { files: readonly string[] } {
  const files = readdirSync(join(folder, part));
  return {
    config: readFileSync(join(folder, part, 'config.json'), 'utf8'),
    files: files.filter((file) => file.endsWith('.safetensors')).map((file) => join(folder, part, file)),
  };
}

export const loadUnet = () => native().loadUnet(backend, source('unet')).promise;
export const loadTextEncoder = () => native().loadTextEncoder(backend, source('text_encoder')).promise;
export const loadVae = () => native().loadVae(backend, source('vae')).promise;

const recorded = new (native().SafetensorsFile)('test/fixtures/sd15-tiny-io.safetensors');

/** A tensor that diffusers or DeepCache's helper computed with the model of {@link FOLDER}. */
export function golden(name: string): { shape: readonly number[]; data: Float32Array } {
  const info = recorded.tensors.find((tensor) => tensor.name === name);
  if (!info) throw new Error(`the fixture has no ${name}`);
  const bytes = recorded.read(name);
  const data =
    info.dtype === 'I64' ? Float32Array.from(new BigInt64Array(bytes), Number) : new Float32Array(bytes);
  return { shape: info.shape, data };
}

/** The largest absolute difference; NaN when a value is NaN or the lengths differ. */
export function maxError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Number.NaN;
  let largest = 0;
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs((actual[i] as number) - (expected[i] as number));
    if (!(error <= largest)) largest = error;
  }
  return largest;
}

/** The code of what a promise rejects with, or of what a function throws; 'none' otherwise. */
export async function codeOf(work: Promise<unknown> | (() => unknown)): Promise<unknown> {
  try {
    await (typeof work === 'function' ? work() : work);
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
  return 'none';
}

/** Reproducible values of about unit size. */
export function noise(count: number, seed = 1): Float32Array {
  return new (native().Generator)(BigInt(seed)).randn(count) as Float32Array;
}

/** A row that makes small Euler steps; programs and anything else as given. */
export function row(index: number, overrides: Partial<StepRow> = {}): StepRow {
  return {
    program: 0,
    timestep: 900 - 10 * index,
    inputScale: 1,
    x0: { x: 1, m: -0.5 },
    assign: [
      {
        to: 'x',
        terms: [
          { slot: 'x', coefficient: 1 },
          { slot: 'm', coefficient: -0.1 },
        ],
      },
    ],
    ...overrides,
  };
}

/** A run of `steps` full passes. */
export function fullRun(steps: number): StepTable {
  return { programs: [{ kind: 'full' }], rows: Array.from({ length: steps }, (_, i) => row(i)) };
}

/** A complete denoise request of one image with the tiny model's sizes. */
export function denoiseRequest(steps: number, side = 8) {
  return {
    batch: 1,
    outputs: 1 as const,
    height: side,
    width: side,
    table: fullRun(steps),
    latents: noise(4 * side * side),
    context: noise(77 * 32, 2),
    contextLength: 77,
  };
}
