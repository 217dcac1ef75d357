import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import {
  type ImageSource,
  LatentConsistencyModelImg2ImgPipeline,
  LatentConsistencyModelPipeline,
} from '../../lib/index.js';
import { AdapterFolder } from '../adapters/adapter-files.js';
import { writeBase, writeEncoder } from '../ip-adapter/tiny-ip-adapter.js';
import { writeSd } from '../pipelines/made-models.js';
import { distance, latentsOf } from '../pipelines/tiny.js';

// A latent consistency model with a picture beside the prompt on a GPU, here the emulated one, against the CPU.
// scripts/test-emulated.mjs sets the library.
const onGpu = process.env.DEEPCACHE_CUDA_LIBRARY ? test : test.skip;

/** As in pipelines.test.ts: fp16, whole runs; from a picture on also the encoder's. */
const RUN = 2e-2;
const FROM_PICTURE = Math.hypot(RUN, 5e-3);

onGpu('a latent consistency model that a picture prompts is like on the CPU', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'deepcache-few-'));
  const adapters = new AdapterFolder();
  try {
    const model = await writeSd(join(folder, 'lcm'), {
      index: {
        _class_name: 'LatentConsistencyModelPipeline',
        scheduler: ['diffusers', 'LCMScheduler'],
      },
      unet: { time_cond_proj_dim: 16 },
      scheduler: { _class_name: 'LCMScheduler', set_alpha_to_one: false },
    });
    await writeEncoder(adapters);
    const picture: ImageSource = {
      data: Uint8Array.from({ length: 64 * 64 * 3 }, (_, i) => (i * 37) % 251),
      width: 64,
      height: 64,
      channels: 3,
    };
    const runs = async (device: 'cpu' | 'cuda') => {
      await using pipe = await LatentConsistencyModelPipeline.fromPretrained(model, {
        device,
        log: () => {},
      });
      await using from = LatentConsistencyModelImg2ImgPipeline.from(pipe);
      await pipe.loadIpAdapter(writeBase(adapters, 'base.safetensors', pipe));
      const prompted = await latentsOf(pipe, { steps: 2, ipAdapterImage: picture });
      const image = await latentsOf(from, { steps: 2, image: picture, ipAdapterImage: picture });
      return { prompted, image };
    };
    const [expected, actual] = [await runs('cpu'), await runs('cuda')];
    expect(distance(actual.prompted, expected.prompted)).toBeLessThan(RUN);
    expect(distance(actual.image, expected.image)).toBeLessThan(FROM_PICTURE);
  } finally {
    adapters.remove();
    rmSync(folder, { recursive: true });
  }
});
