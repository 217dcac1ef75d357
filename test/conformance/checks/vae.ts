import { DeepCacheError } from '../../../lib/errors.js';
import { finish } from '../../../lib/native/device.js';
import type { VaeRequest } from '../../../lib/native/types.js';
import type { Findings } from '../findings.js';
import type { GoldenCase } from '../goldens.js';
import type { Models } from '../models.js';
import { compareActivations } from './activations.js';

const BLOCKS = /^(en|de)coder\.(conv_in|conv_out|mid_block|(down|up)_blocks\.\d+)$/;

/** The posterior and a sample of it. */
export async function checkVaeEncode(golden: GoldenCase, findings: Findings, models: Models): Promise<void> {
  refuseTiles(golden);
  const vae = await models.vae(golden.modelFolder);
  const { data, taps } = await finish(() => vae.native.encode(request(golden, 'image')));
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

export async function checkVaeDecode(golden: GoldenCase, findings: Findings, models: Models): Promise<void> {
  refuseTiles(golden);
  const vae = await models.vae(golden.modelFolder);
  const { data, taps } = await finish(() => vae.native.decode(request(golden, 'z')));
  findings.tensor('out', data);
  compareActivations(golden, findings, taps, BLOCKS);
}

function refuseTiles(golden: GoldenCase): void {
  if (golden.field('tiling') !== undefined)
    throw new DeepCacheError('ERR_DEEPCACHE_UNSUPPORTED', 'this runner makes no tiles');
}

function request(golden: GoldenCase, role: string): VaeRequest {
  const { data, shape } = golden.tensor(role);
  const [batch = 0, , height = 0, width = 0] = shape;
  return { data: data as Float32Array, batch, height, width, taps: true };
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
