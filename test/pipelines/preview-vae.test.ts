import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  DiffusionPipeline,
  Image,
  StableDiffusionImg2ImgPipeline,
  StableDiffusionInpaintPipeline,
  type StableDiffusionPipeline,
  type StepEvent,
} from '../../lib/index.js';
import { AutoencoderKL } from '../../lib/models/autoencoder-kl.js';
import { FolderSource } from '../../lib/models/folder-source.js';
import { openBackend } from '../../lib/native/device.js';
import type { LatentPreview } from '../../lib/previews/latent-preview.js';
import { ImageEngine } from '../../lib/server/engine/index.js';
import { runCli } from '../cli-run.js';
import { writeDdpm } from '../composition/made-systems.js';
import { writeXl } from './made-models.js';
import { TINY_VAE_FILE, writeTinyVae } from './made-tiny-vae.js';
import { FOLDER, latentsOf, loadTiny, previewsOf, rejection, sameBits } from './tiny.js';

const root = mkdtempSync(join(tmpdir(), 'deepcache-preview-vae-'));

/** A TAESD with synthetic weights. */
const makeTiny = (name: string, config: object = {}) => writeTinyVae(join(root, name), config);

/** The file of a folder with other names; those without one are left out of its table. */
function renamed(folder: string, name: string, rename: (key: string) => string | undefined): string {
  const bytes = readFileSync(join(folder, TINY_VAE_FILE));
  const length = Number(bytes.readBigUInt64LE(0));
  const table: Record<string, unknown> = JSON.parse(bytes.toString('utf8', 8, 8 + length));
  const own = Object.entries(table).flatMap(([key, entry]) => {
    const other = rename(key);
    return other === undefined ? [] : [[other, entry] as const];
  });
  // What nobody names stays, under a name that nobody asks for: files have no holes.
  const rest = Object.entries(table).filter(([key]) => key !== '__metadata__' && rename(key) === undefined);
  const all = Object.fromEntries([...own, ...rest.map(([key, entry]) => [`unused.${key}`, entry])]);
  const text = Buffer.from(JSON.stringify(all).padEnd(Math.ceil(JSON.stringify(all).length / 8) * 8));
  const head = Buffer.alloc(8);
  head.writeBigUInt64LE(BigInt(text.length));
  const path = join(root, name);
  writeFileSync(path, Buffer.concat([head, text, bytes.subarray(8 + length)]));
  return path;
}

let folder: string;
let tiny: AutoencoderKL;
let pipe: StableDiffusionPipeline;
beforeAll(async () => {
  folder = await makeTiny('taesd');
  tiny = await AutoencoderKL.load(openBackend({ device: 'cpu' }), await new FolderSource(folder).network(''));
  pipe = await loadTiny({ previewVae: folder });
});
afterAll(async () => {
  await pipe.dispose();
  tiny.dispose();
  rmSync(root, { recursive: true });
});

/** What the tiny autoencoder makes of one of a preview's latents, rounded to bytes as pictures are. */
async function decoded({ data, shape: [, c = 0, h = 0, w = 0] }: LatentPreview, index = 0) {
  const size = c * h * w;
  const own = data.slice(index * size, (index + 1) * size);
  const { data: pixels, shape } = await tiny.decode({ data: own, shape: [1, c, h, w] });
  const [, , height = 0, width = 0] = shape;
  const unit = pixels.map((value) => Math.min(1, Math.max(0, value / 2 + 0.5)));
  return Image.fromFloat(unit, width, height);
}

async function expectDecoded(one: DiffusionPipeline, options: object = {}): Promise<void> {
  const previews = await previewsOf(one, options);
  expect(previews.length).toBeGreaterThan(0);
  for (const preview of previews) {
    const images = await preview.toImages();
    expect(images).toHaveLength(preview.shape[0] as number);
    for (const [i, image] of images.entries()) {
      expect(image).toEqual(await decoded(preview, i));
      expect(new Set(image.data).size).toBeGreaterThan(20);
    }
  }
}

const picture = new Image({
  width: 64,
  height: 64,
  data: Uint8Array.from({ length: 64 * 64 * 3 }, (_, i) => (i * 7) % 251),
});
const maskImage = {
  width: 64,
  height: 64,
  channels: 1 as const,
  data: Uint8Array.from({ length: 64 * 64 }, (_, i) => (i % 64 < 32 ? 255 : 0)),
};

describe('an autoencoder for previews', () => {
  test('decodes them, of each image of a batch and of any size', async () => {
    await expectDecoded(pipe, { width: 72, height: 40, numImages: 2 });
  });

  test('does so for image to image and inpainting over the same models', async () => {
    const img2img = StableDiffusionImg2ImgPipeline.from(pipe);
    await expectDecoded(img2img, { image: picture, strength: 0.8 });
    await img2img.dispose();
    const inpaint = StableDiffusionInpaintPipeline.from(pipe);
    await expectDecoded(inpaint, { image: picture, maskImage });
    await inpaint.dispose();
    await expectDecoded(pipe);
  });

  test('and for SDXL', async () => {
    const xl = await writeXl(join(root, 'xl'));
    const other = await DiffusionPipeline.fromPretrained(xl, {
      device: 'cpu',
      log: () => {},
      previewVae: folder,
    });
    await expectDecoded(other, { width: 64, height: 64 });
    await other.dispose();
  });

  test('changes no picture, also when previews are decoded all the while', async () => {
    const plain = await loadTiny();
    const expected = await latentsOf(plain);
    await plain.dispose();
    const onStep = ({ preview }: StepEvent) => preview?.toImages();
    expect(sameBits(await latentsOf(pipe), expected)).toBe(true);
    expect(sameBits(await latentsOf(pipe, { previewEvery: 1, onStep }), expected)).toBe(true);
  });

  test('is a folder of a model, a file in diffusers’ names, or the decoder alone under its authors’ names', async () => {
    const model = join(root, 'model');
    mkdirSync(join(model, 'vae'), { recursive: true });
    for (const name of ['config.json', TINY_VAE_FILE])
      writeFileSync(join(model, 'vae', name), readFileSync(join(folder, name)));
    const decoder = renamed(folder, 'taesd_decoder.safetensors', (key) => {
      const [, number, rest] = /^decoder\.layers\.(\d+)\.(.+)$/.exec(key) ?? [];
      return number === undefined ? undefined : `${Number(number) + 1}.${rest}`;
    });
    for (const previewVae of [model, join(folder, TINY_VAE_FILE), decoder]) {
      const other = await loadTiny({ previewVae });
      await expectDecoded(other);
      await other.dispose();
    }
  });

  test('is counted in what a run takes, and in what it holds', async () => {
    const run = { prompt: 'a', steps: 2, output: 'latent' } as const;
    const { stats } = await pipe.generate({ ...run, previewEvery: 1, onStep: (e) => e.preview?.toImage() });
    const plain = await loadTiny();
    const without = (await plain.generate(run)).stats.memory;
    const { weights } = tiny.memory();
    expect(weights).toBeGreaterThan(0);
    expect(stats.memory.weights).toBe(without.weights + weights);
    // More than there is: what previews take is a part of it, and named, with previews only.
    const [width, height] = [16384, 16384];
    const need = async (one: DiffusionPipeline, options: object) => {
      const { code, message } = await rejection(
        one.generate({ ...run, width, height, numImages: 64, ...options } as never),
      );
      expect(code).toBe('ERR_DEEPCACHE_OUT_OF_MEMORY');
      return message;
    };
    const bytes = await tiny.decodeBytes({ height: 2048, width: 2048 });
    const share = `${(bytes / 2 ** 30).toFixed(2)} GiB for previews`;
    expect(await need(pipe, { previewEvery: 1 })).toContain(share);
    expect(await need(pipe, {})).not.toContain('previews');
    expect(await need(plain, { previewEvery: 1 })).not.toContain('previews');
    await plain.dispose();
  });

  test('goes with the model; what is asked for later is an error with a code', async () => {
    const other = await loadTiny({ previewVae: folder });
    const [first] = await previewsOf(other);
    expect(await first?.toImage()).toEqual(await decoded(first as LatentPreview));
    await other.dispose();
    expect(await rejection((first as LatentPreview).toImage())).toMatchObject({
      code: 'ERR_DEEPCACHE_DISPOSED',
    });
  });

  test('stops with a signal, and goes on with the next', async () => {
    const [first] = await previewsOf(pipe, { width: 256, height: 256 });
    const reason = new Error('stop');
    const stop = new AbortController();
    const stopped = rejection((first as LatentPreview).toImage(0, { signal: stop.signal }));
    const next = (first as LatentPreview).toImage();
    stop.abort(reason);
    expect(await stopped).toBe(reason);
    expect(await next).toEqual(await decoded(first as LatentPreview));
  });

  test('decodes what a server’s jobs show on the way', async () => {
    const models = { tiny: { model: FOLDER, device: 'cpu' as const, previewVae: folder } };
    const engine = new ImageEngine({ models, log: () => {} });
    const job = await engine.submit({
      model: 'tiny',
      task: 'text-to-image',
      options: { prompt: 'a', steps: 3, seed: 1 },
      previewEvery: 1,
    });
    let previews = 0;
    for await (const event of job.events()) {
      if (event.type !== 'step' || !event.preview) continue;
      previews++;
      expect(await event.preview.toImage()).toEqual(await decoded(event.preview));
    }
    expect(previews).toBeGreaterThan(0);
    await engine.close();
  });
});

describe('one that does not fit', () => {
  const refused = async (previewVae: string) => (await rejection(loadTiny({ previewVae }))).message;

  test('is refused with its file and what is wrong', async () => {
    const channels = await makeTiny('other-channels', { latent_channels: 16 });
    expect(await refused(channels)).toBe(
      `previewVae is ${channels}, an autoencoder of 16 latent channels; that of ${FOLDER} has 4`,
    );
    const scale = await makeTiny('other-scale', {
      encoder_block_out_channels: [4, 4],
      decoder_block_out_channels: [4, 4],
      num_encoder_blocks: [1, 1],
      num_decoder_blocks: [1, 1],
    });
    expect(await refused(scale)).toContain(`previewVae is ${scale}, an autoencoder of 2 pixels`);
    expect(await refused(join(root, 'nothing'))).toMatch(/^previewVae is .*nothing, which does not exist/);
    expect(await refused(root)).toMatch(/^previewVae is .*, which has neither config.json nor/);
    const encoder = renamed(folder, 'taesd_encoder.safetensors', (key) =>
      key.startsWith('encoder.layers.') ? key.slice('encoder.layers.'.length) : undefined,
    );
    expect(await refused(encoder)).toContain('the encoder of a TAESD: give its decoder');
    expect(await refused(join(FOLDER, 'unet'))).toBe(
      `previewVae is ${join(FOLDER, 'unet')}, a UNet2DConditionModel, which is no autoencoder`,
    );
  });

  test('is known to a server before its first job', async () => {
    const other = await makeTiny('other-of-a-server', { latent_channels: 16 });
    const ddpm = await writeDdpm(join(root, 'ddpm-of-a-server'));
    const options = { device: 'cpu', previewVae: other } as const;
    const engine = new ImageEngine({
      models: { tiny: { model: FOLDER, ...options }, ddpm: { model: ddpm, ...options } },
      log: () => {},
    });
    expect((await rejection(engine.card('tiny'))).message).toMatch(/^previewVae is .* of 16 latent channels/);
    expect((await rejection(engine.card('ddpm'))).message).toMatch(/^previewVae decodes latents, which/);
    await engine.close();
  });

  test('is refused beside models without previews', async () => {
    const ddpm = await writeDdpm(join(root, 'ddpm'));
    const loading = DiffusionPipeline.fromPretrained(ddpm, {
      device: 'cpu',
      log: () => {},
      previewVae: folder,
    });
    expect((await rejection(loading)).message).toMatch(/^previewVae is for Stable Diffusion/);
  });
});

test('--preview-vae writes such previews', async () => {
  const preview = join(root, 'preview.png');
  const args = ['generate', '-m', FOLDER, '-p', 'a', '--steps', '3', '--seed', '1', '--device', 'cpu'];
  const { code } = await runCli([
    ...args,
    ...['--scheduler', 'DDIM', '--preview-vae', folder, '--preview', preview, '--preview-every', '3'],
    ...['-o', join(root, 'out.png')],
  ]);
  expect(code).toBe(0);
  const [last] = await previewsOf(pipe, { steps: 3, previewEvery: 3 });
  expect((await Image.open(preview)).data).toEqual((await decoded(last as LatentPreview)).data);
});
