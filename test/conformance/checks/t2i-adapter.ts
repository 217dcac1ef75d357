import { join } from 'node:path';
import { loadNative, sourceOf } from '../../../lib/models/model-files.js';
import { native } from '../../../lib/native/binding.js';
import { finish } from '../../../lib/native/device.js';
import { findT2IAdapter } from '../../../lib/t2i-adapter/find.js';
import type { Findings } from '../findings.js';
import type { GoldenCase } from '../goldens.js';
import type { Models } from '../models.js';
import { comparePipeline } from './pipeline.js';
import { conditionsOf, sampleOf, timestepsOf } from './unet.js';

/** The features of a T2I-Adapter, and the U-Net with them. */
export async function checkT2IAdapter(golden: GoldenCase, findings: Findings, models: Models): Promise<void> {
  const unet = await models.unet(golden.modelFolder);
  const found = await findT2IAdapter(join(golden.folder, golden.field<string>('adapter') as string));
  const start = () => native().loadT2iAdapter(models.backend(), sourceOf(found), unet.native);
  const adapter = await loadNative(found, start);
  try {
    const { data, shape } = golden.tensor('cond');
    const [batch = 0, , height = 0, width = 0] = shape;
    const image = data as Float32Array;
    const levels = await finish(() => adapter.encode({ image, batch, height, width }));
    for (const [i, values] of levels.entries()) findings.tensor(`feature_${i}`, values);
    const request = {
      ...sampleOf(golden, 'sample'),
      ...conditionsOf(golden, unet.native),
      timesteps: timestepsOf(golden),
      blockFeatures: { levels, scales: [golden.field<number>('conditioning_scale') ?? 1] },
    };
    const { out } = await finish(() => unet.native.forward(request));
    findings.tensor('unet_out', out);
  } finally {
    adapter.dispose();
  }
}

/** A whole run with T2I-Adapters. */
export async function checkT2IAdapterPipeline(
  golden: GoldenCase,
  findings: Findings,
  models: Models,
): Promise<void> {
  const pipe = await models.pipeline(golden.modelFolder, golden.field<string>('pipeline'));
  const files = [golden.field<string | string[]>('adapter') ?? []].flat();
  try {
    for (const [i, file] of files.entries())
      await pipe.loadT2IAdapter(join(golden.folder, file), { name: `${i}` });
    await comparePipeline(golden, findings, pipe);
  } finally {
    await pipe.unloadT2IAdapter();
  }
}
