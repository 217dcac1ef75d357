import { join } from 'node:path';
import { DeepCacheError } from '../../../lib/errors.js';
import type { GenerateOptions } from '../../../lib/index.js';
import { crossAttentions, readIpAdapter } from '../../../lib/ip-adapter/read.js';
import { scalesOf } from '../../../lib/ip-adapter/scale.js';
import { loadNative, sourceOf } from '../../../lib/models/model-files.js';
import { native } from '../../../lib/native/binding.js';
import { finish } from '../../../lib/native/device.js';
import type { Findings } from '../findings.js';
import type { GoldenCase } from '../goldens.js';
import type { Models, Pipeline } from '../models.js';
import { applyLoras, type GivenAdapter } from './lora.js';
import { comparePipeline } from './pipeline.js';
import { conditionsOf, sampleOf, timestepsOf } from './unet.js';

type Scale = NonNullable<GenerateOptions['ipAdapterScale']>;

/** One pass of a U-Net with an adapter, from every container that its weights are in. */
export async function checkIpAdapter(golden: GoldenCase, findings: Findings, models: Models): Promise<void> {
  const unet = await models.unet(golden.modelFolder);
  const attentions = crossAttentions(unet.weightShapes());
  const names = attentions.map(({ name }) => name);
  const { data, shape } = golden.tensor('image_embeds_in');
  for (const file of golden.field<string[]>('ip_adapter') ?? []) {
    const read = await readIpAdapter(join(golden.folder, file), attentions);
    const start = () => native().loadIpAdapter(models.backend(), sourceOf(read.network));
    const adapter = await loadNative(read.network, start);
    try {
      const [batch = 0] = shape;
      const length = data.length / batch / read.imageWidth;
      const tokens = await finish(() => adapter.project({ image: data as Float32Array, batch, length }));
      findings.tensor('ip_tokens', tokens);
      const scales = scalesOf('scale', golden.field<number>('scale') as number, names);
      const request = {
        ...sampleOf(golden, 'sample'),
        ...conditionsOf(golden, unet.native),
        timesteps: timestepsOf(golden),
        imagePrompts: [{ adapter, tokens, length: read.tokens, scales }],
      };
      findings.tensor('unet_out', (await finish(() => unet.native.forward(request))).out);
    } finally {
      adapter.dispose();
    }
  }
}

/** A whole run with pictures beside the prompt, and perhaps other adapters. */
export async function checkIpAdapterPipeline(
  golden: GoldenCase,
  findings: Findings,
  models: Models,
): Promise<void> {
  const pipe = await models.pipeline(golden.modelFolder, golden.field<string>('pipeline'));
  if (typeof pipe.loadIpAdapter !== 'function')
    throw new DeepCacheError('ERR_DEEPCACHE_UNSUPPORTED', 'the pipeline takes no IP-Adapters');
  const nets = golden.field<string[]>('controlnet') ?? [];
  const loras = golden.field<GivenAdapter[]>('lora') ?? [];
  try {
    await applyLoras(pipe, golden, loras);
    for (const net of nets) await pipe.loadControlNet(join(golden.folder, net));
    const files = golden.field<string[]>('ip_adapter') ?? [];
    await loadAll(pipe, golden, files);
    await comparePipeline(golden, findings, pipe, { own: imageOptions(golden) });
    // The same content in other containers.
    const others = golden.field<string[][]>('ip_adapter_files') ?? [];
    for (let i = 1; others.some((names) => names.length > i); i++) {
      await pipe.unloadIpAdapter();
      await loadAll(
        pipe,
        golden,
        others.map((names) => names[i] ?? (names[0] as string)),
      );
      await comparePipeline(golden, findings, pipe, { own: imageOptions(golden) });
    }
  } finally {
    await pipe.unloadIpAdapter();
    await pipe.unloadControlNet();
    await pipe.unloadLora();
  }
}

async function loadAll(pipe: Pipeline, golden: GoldenCase, files: readonly string[]): Promise<void> {
  const imageEncoder = join(golden.folder, String(golden.field('image_encoder')));
  for (const [i, file] of files.entries())
    await pipe.loadIpAdapter(join(golden.folder, file), { imageEncoder, name: `${i}` });
}

function imageOptions(golden: GoldenCase): Partial<GenerateOptions> {
  const pictures = golden.field<string[]>('image_files') ?? [];
  return {
    ipAdapterImage: pictures.map((file) => join(golden.folder, file)),
    ipAdapterScale: golden.field<Scale>('scale') as Scale,
    // These cases do not say it: the reference computes ControlNets at every call.
    ...(golden.field('controlnet') !== undefined && { controlCache: 'live' }),
  };
}
