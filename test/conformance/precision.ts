import { type DeviceOptions, openBackend } from '../../lib/native/device.js';
import type { Tolerance } from './compare.js';
import type { GoldenCase } from './goldens.js';

/**
 * What a device computes in: the CPU in fp32, of which products may be of bf16; GPUs in 16 bits with sums in fp32.
 */
export type Precision = 'fp32' | 'fp16' | 'bf16' | 'bf16 products';

/** What runs with the options are held against. */
export function precisionOf(options: DeviceOptions): Precision {
  const { device, dtype } = openBackend(options);
  if (dtype === 'fp8')
    throw new Error('There are no limits for fp8: its errors are those of its rounding (docs/fp8.md)');
  return device === 'cpu' && dtype === 'bf16' ? 'bf16 products' : dtype;
}

// Limits in 16 bits, as relative L2 distances from the stored fp32 values.
//
// A call: fp16 has 11 bits, so that one rounding moves a tensor by 1.4e-4 in the mean. About a hundred operations follow
// each other on the longest path, each of which rounds its weights, its input and its output; independent errors add up
// as squares: sqrt(300) * 1.4e-4 = 2.4e-3, which is also what is seen where a network neither damps nor enlarges errors.
// Twice that is allowed. A dropped tap, channel or key is an error of several times as much.
// A run feeds its own errors to the next call; samplers pull towards the data, so that they grow less than in proportion
// to the calls: four times a call's.
// bf16 has three bits less than fp16, and so eight times the error.
// Where only the operands of products are of bf16, what layers hand on keeps its bits. A quarter of bf16's is what is asked of a
// call there; what networks enlarge beyond it is judged by how far disturbed weights take them.
const LIMITS = {
  fp16: { call: 5e-3, run: 2e-2 },
  bf16: { call: 4e-2, run: 0.16 },
  'bf16 products': { call: 1e-2, run: 4e-2 },
} as const;

// Kinds whose numbers a device computes; all others are the host's in any precision.
const CALLS =
  /^(text_encoder|encode_prompt|textual_inversion_encode|text_chunks|upscaler(_tiled)?|controlnet(_union)?|t2i_adapter|unet|unet(_motion)?_intermediate|vae_\w+|deepcache_unet(_inputs)?|ip_adapter|clip_vision|(ddpm|ldm)\/(deepcache_)?forward|ldm\/vq_decode|svd\/(clip_vision|unet_\w+|vae_(en|de)code)|t2v_zero\/unet_forward)$/;
const RUNS =
  /^(pipeline\w*|hires_fix|(paper|ip_adapter|controlnet|t2i_adapter|textual_inversion)_pipeline|lora_pipeline(_sequence)?|(ddpm|ldm)\/sample\w*|(svd|t2v_zero)\/pipeline)$/;
/** Pipelines whose autoencoder is bf16 in fp16 runs (`force_upcast`), by kind and class. */
const UPCAST = /^svd\/|XL/;
/** Roles of such kinds that are the host's all the same. */
const HOST = /^(input_ids(_\d)?|control_type|ddim_\w+)$/;
const PICTURE = /^(image|frames)/;
const BYTES = /_u8$/;

/** The tolerance of a role in 16 bits, or undefined where the manifest's own holds. */
export function deviceTolerance(
  golden: GoldenCase,
  role: string,
  precision: Precision,
): Tolerance | undefined {
  const { kind } = golden;
  if (precision === 'fp32' || HOST.test(role)) return undefined;
  const { call } = LIMITS[precision];
  const isUpcast = precision === 'fp16' && UPCAST.test(`${kind} ${golden.field('pipeline')}`);
  const autoencoder = isUpcast ? LIMITS.bf16.call : call;
  if (/vae_/.test(kind)) return { rel_l2: autoencoder };
  if (CALLS.test(kind)) return BYTES.test(role) ? { psnr: decibels(call) } : { rel_l2: call };
  if (!RUNS.test(kind)) return undefined;
  // What starts from a picture has the encoder's error from the start.
  const run = golden.has('image') ? Math.hypot(LIMITS[precision].run, autoencoder) : LIMITS[precision].run;
  if (PICTURE.test(role)) return { psnr: decibels(Math.hypot(run, autoencoder)) };
  // Early latents are mostly noise, beside which the error of the last ones would not show.
  if (/^latents(_pass1)?$/.test(role)) return { rel_l2_each: run };
  return { rel_l2: run };
}

/**
 * The signal-to-noise ratio of a picture whose relative error is `relative`. Its peak is at least twice its root mean
 * square when both are taken from the middle of its range.
 */
function decibels(relative: number): number {
  return 20 * Math.log10(2 / relative);
}
