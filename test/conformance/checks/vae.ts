import type { AutoencoderKL } from '../../../lib/models/autoencoder-kl.js';
import { needsTiles, runTiled } from '../../../lib/models/tiling.js';
import { tinyScaled, tinyUnscaled } from '../../../lib/models/tiny-scale.js';
import { finish } from '../../../lib/native/device.js';
import type { VaeRequest, VaeResult } from '../../../lib/native/types.js';
import { inOneGo } from '../../../lib/slices.js';
import type { Tensor } from '../../../lib/tensor.js';
import type { Findings } from '../findings.js';
import type { GoldenCase } from '../goldens.js';
import type { Models } from '../models.js';
import { compareActivations } from './activations.js';

const BLOCKS = /^(en|de)coder\.(conv_in|conv_out|mid_block|(down|up)_blocks\.\d+|layers\.0)$/;

/** The posterior and a sample of it. */
export async function checkVaeEncode(golden: GoldenCase, findings: Findings, models: Models): Promise<void> {
  const vae = await models.vae(golden.modelFolder);
  const { data, taps } = await run(golden, 'image', vae, 'encode');
  findings.tensor('moments', data);
  const posterior = split(data, golden.tensor('moments').shape[0] as number);
  const noise = golden.tensor('sample_noise').data as Float32Array;
  // As diffusers' DiagonalGaussianDistribution has it.
  const mean = posterior.mean;
  const logvar = posterior.logvar.map((value) => Math.min(20, Math.max(-30, value)));
  const std = logvar.map((value) => Math.exp(0.5 * value));
  const sample = mean.map((value, i) => value + (std[i] as number) * (noise[i] as number));
  const roles = { mean, logvar, std, sample };
  for (const [role, values] of Object.entries(roles)) findings.tensor(role, values);
  compareActivations(golden, findings, taps, BLOCKS);
}

/** Also of a tiny autoencoder. */
export async function checkVaeDecode(golden: GoldenCase, findings: Findings, models: Models): Promise<void> {
  const vae = await models.vae(golden.modelFolder);
  const { data, taps } = await run(golden, 'z', vae, 'decode');
  findings.tensor('out', data);
  compareActivations(golden, findings, taps, BLOCKS);
}

export async function checkTinyEncode(golden: GoldenCase, findings: Findings, models: Models): Promise<void> {
  const vae = await models.vae(golden.modelFolder);
  const { data, taps } = await run(golden, 'image', vae, 'encode');
  findings.tensor('latents', data);
  compareActivations(golden, findings, taps, BLOCKS);
}

/** How latents are stored as pictures. */
export async function checkTinyScale(golden: GoldenCase, findings: Findings, models: Models): Promise<void> {
  const { config } = await models.vae(golden.modelFolder);
  const raw = golden.tensor('raw').data as Float32Array;
  const scaled = tinyScaled(raw, config);
  findings.tensor('scaled', scaled);
  findings.tensor('unscaled_of_scaled', tinyUnscaled(scaled, config));
}

/** Between latents of the U-Net and those of the autoencoder, both ways. */
export async function checkLatentsToZ(golden: GoldenCase, findings: Findings, models: Models): Promise<void> {
  const { latentScale } = await models.vae(golden.modelFolder);
  const { data, shape } = golden.tensor('latents');
  const [, channels = 0, height = 0, width = 0] = shape;
  const z = inOneGo(latentScale.fromModel(data as Float32Array, height * width));
  findings.tensor('z', z);
  const channel = (i: number) => Math.floor(i / (height * width)) % channels;
  findings.tensor(
    'latents_back',
    z.map((value, i) => latentScale.toModel(value, channel(i))),
  );
}

export async function checkMaskedDecode(
  golden: GoldenCase,
  findings: Findings,
  models: Models,
): Promise<void> {
  const vae = await models.vae(golden.modelFolder);
  const [z, image, mask] = ['z', 'image', 'mask'].map((role) => golden.tensor(role) as Tensor);
  const { data } = await vae.decodeMasked(z as Tensor, { image: image as Tensor, mask: mask as Tensor });
  findings.tensor('out', data);
}

interface DiffusersTiling {
  tile_sample_min_size: number;
  tile_latent_min_size: number;
  tile_overlap_factor: number;
}

/** In one piece, or in tiles where the case says so and the picture is larger than one. */
async function run(
  golden: GoldenCase,
  role: string,
  vae: AutoencoderKL,
  half: 'encode' | 'decode',
): Promise<VaeResult> {
  const input = golden.tensor(role) as Tensor;
  const tiling = golden.field<DiffusersTiling>('tiling');
  const call = (tile: Tensor) => finish(() => vae.native[half](request(tile)));
  if (!tiling) return call(input);
  const { tile_sample_min_size: pixels, tile_latent_min_size: latents, tile_overlap_factor: factor } = tiling;
  const [tile, outTile] = half === 'encode' ? [pixels, latents] : [latents, pixels];
  const [, , height = 0, width = 0] = input.shape;
  if (!needsTiles({ tile, overlap: 0 }, height, width)) return call(input);
  const overlap = Math.trunc(tile * factor);
  const blend = Math.trunc(outTile * factor);
  return runTiled(input, {
    tiling: { tile, overlap },
    scale: half === 'encode' ? 1 / vae.scale : vae.scale,
    run: call,
    ...(vae.hasPosterior
      ? { step: Math.trunc(tile * (1 - factor)), blend, keep: outTile - blend }
      : { join: 'mask' as const }),
  });
}

function request({ data, shape }: Tensor): VaeRequest {
  const [batch = 0, , height = 0, width = 0] = shape;
  return { data, batch, height, width, taps: true };
}

/** Moments hold each image's mean, then its log variance. */
function split(moments: Float32Array, batch: number): { mean: Float32Array; logvar: Float32Array } {
  const half = moments.length / batch / 2;
  const mean = new Float32Array(batch * half);
  const logvar = new Float32Array(batch * half);
  for (let i = 0; i < batch; i++) {
    mean.set(moments.subarray(2 * i * half, (2 * i + 1) * half), i * half);
    logvar.set(moments.subarray((2 * i + 1) * half, (2 * i + 2) * half), i * half);
  }
  return { mean, logvar };
}
