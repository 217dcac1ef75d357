import { join } from 'node:path';
import { finish } from '../../../lib/native/device.js';
import type { SDParts } from '../../../lib/pipelines/loading/parts.js';
import type { Findings } from '../findings.js';
import type { GoldenCase } from '../goldens.js';
import type { Models } from '../models.js';
import { comparePipeline } from './pipeline.js';
import { conditionsOf, sampleOf, timestepsOf } from './unet.js';

/** A whole run with ControlNets. */
export async function checkControlPipeline(
  golden: GoldenCase,
  findings: Findings,
  models: Models,
): Promise<void> {
  const pipe = await models.pipeline(golden.modelFolder, golden.field<string>('pipeline'));
  const files = (golden.field<string[]>('controlnet') ?? []).map((file) => join(golden.folder, file));
  try {
    for (const file of files) await pipe.loadControlNet(file);
    const { controls } = (pipe as unknown as { components: SDParts }).components.models;
    const image = golden.tensor('control_image').data as Float32Array;
    const network = controls?.models[0]?.native;
    const scale = golden.field<{ controlnet_conditioning_scale: number }>(
      'args',
    )?.controlnet_conditioning_scale;
    const request = { controls: [{ network, images: [image], scales: [scale] }] };
    const isCompared = golden.has('mask_image') ? repainted(golden) : undefined;
    await comparePipeline(golden, findings, pipe, { request, ...(isCompared && { isCompared }) });
  } finally {
    await pipe.unloadControlNet();
  }
}

/**
 * Where latents are repainted. What is stored of the others is the sampler's, before the kept part is put back; ours are
 * those after it.
 */
function repainted(golden: GoldenCase): (value: number) => boolean {
  const [, , height = 0, width = 0] = golden.tensor('latents').shape.slice(-4);
  const { data, shape } = golden.tensor('mask_image');
  const [, , rows = 0, columns = 0] = shape;
  return (value) => {
    const pixel = value % (height * width);
    const y = (Math.floor(pixel / width) * rows) / height;
    return Number(data[y * columns + ((pixel % width) * columns) / width]) >= 0.5;
  };
}

/** What a ControlNet gives, and the U-Net with it. */
export async function checkControlNet(golden: GoldenCase, findings: Findings, models: Models): Promise<void> {
  const unet = await models.unet(golden.modelFolder);
  const net = await models.controlNet(
    join(golden.folder, golden.field<string>('controlnet') as string),
    unet,
  );
  const image = golden.tensor('controlnet_cond').data as Float32Array;
  const request = {
    ...sampleOf(golden, 'sample'),
    ...conditionsOf(golden, unet.native),
    timesteps: timestepsOf(golden),
  };
  const scale = golden.field<number>('conditioning_scale') as number;
  const guess = golden.field<boolean>('guess_mode') ?? false;
  const { residuals = [] } = await finish(() => net.native.forward({ ...request, images: [image] }));
  const last = residuals.length - 1;
  for (const [i, values] of residuals.entries()) {
    const factor = scale * (guess ? 10 ** (i / last - 1) : 1);
    findings.tensor(
      i === last ? 'mid' : `down_${i}`,
      values.map((value) => value * factor),
    );
  }
  const controls = [{ network: net.native, images: [image], scales: [scale], guess }];
  const { out } = await finish(() => unet.native.forward({ ...request, controls }));
  findings.tensor('unet_out', out);
}

/** The same of a network that takes several kinds of pictures. */
export async function checkControlNetUnion(
  golden: GoldenCase,
  findings: Findings,
  models: Models,
): Promise<void> {
  const unet = await models.unet(golden.modelFolder);
  const net = await models.controlNet(
    join(golden.folder, golden.field<string>('controlnet') as string),
    unet,
  );
  const kinds = golden.field<number[]>('control_type_idx') as number[];
  const images = kinds.map((_, i) => golden.tensor(`controlnet_cond_${i}`).data as Float32Array);
  const request = {
    ...sampleOf(golden, 'sample'),
    ...conditionsOf(golden, unet.native),
    timesteps: timestepsOf(golden),
  };
  const types = Array.from({ length: net.kinds }, (_, i) => (kinds.includes(i) ? 1 : 0));
  const rows = new Array<number[]>(request.batch).fill(types).flat();
  findings.tensor('control_type', Float32Array.from(rows));
  const scale = golden.field<number>('conditioning_scale') as number;
  const { residuals = [] } = await finish(() => net.native.forward({ ...request, images, kinds }));
  const last = residuals.length - 1;
  for (const [i, values] of residuals.entries()) {
    findings.tensor(
      i === last ? 'mid' : `down_${i}`,
      values.map((value) => value * scale),
    );
  }
  const controls = [{ network: net.native, images, kinds, scales: [scale] }];
  const { out } = await finish(() => unet.native.forward({ ...request, controls }));
  findings.tensor('unet_out', out);
}
