// npx tsx bench/event-loop-large.ts [pixels] [model folder] [case ...]
//
// How long the event loop stalls for inputs and results that are as large as a server may meet: prompts of a megabyte,
// pictures of 8192x8192 as input and as result, large tokenizers, and configurations with as many layers as are taken.
// Prints JSON. What counts is `own`: the rest of a stall is what the system gave to others.

import { rmSync } from 'node:fs';
import { loadSharp } from '../lib/images/sharp.js';
import { DiffusionPipeline, type GenerateOptions, Image, pipelineForInputs } from '../lib/index.js';
import { native } from '../lib/native/binding.js';
import type { DenoiseRequest, DenoiseResult, Job, NativeUnet } from '../lib/native/types.js';
import { LatentPreview } from '../lib/previews/latent-preview.js';
import { linearLook } from '../lib/previews/look.js';
import { SD_PROJECTION } from '../lib/previews/projection.js';
import { CLIPTokenizer } from '../lib/tokenizers/clip-tokenizer.js';
import { largeTokenizers, largeUnet, longPrompts } from './large-inputs.js';
import { machine, mebibytes, TINY_MODEL } from './measure.js';
import { stallsOf } from './stalls.js';

const pixels = Number(process.argv[2] ?? 8192);
const folder = process.argv[3] ?? TINY_MODEL;
const wanted = process.argv.slice(4);

type Case = () => Promise<unknown>;

/** As often as a server meets them, so that the first use of code and files does not count for much. */
const often = (work: Case) => async () => {
  for (let i = 0; i < 10; i++) await work();
};

async function main(): Promise<void> {
  const pipe = await DiffusionPipeline.fromPretrained(folder, { log: () => {} });
  const tokenizers = largeTokenizers();
  const cases = { ...loading(tokenizers), ...prompts(pipe), ...(await pictures(pipe)) };
  const results: Record<string, unknown> = {};
  for (const [name, work] of Object.entries(cases)) {
    if (wanted.length > 0 && !wanted.some((beginning) => name.startsWith(beginning))) continue;
    const begin = performance.now();
    const stalls = await stallsOf(work);
    results[name] = { seconds: Number(((performance.now() - begin) / 1000).toFixed(1)), ...stalls };
    console.error(
      name,
      JSON.stringify(results[name]),
      `${mebibytes(process.resourceUsage().maxRSS * 1024)} MiB`,
    );
  }
  await pipe.dispose();
  for (const path of Object.values(tokenizers)) rmSync(path, { recursive: true });
  console.log(JSON.stringify({ benchmark: 'event-loop-large', ...machine(), pixels, results }, null, 2));
}

function loading(tokenizers: Record<string, string>): Record<string, Case> {
  const size = { batch: 2, height: 1024, width: 1024, contextLength: 77 };
  const cases: Record<string, Case> = {
    load: often(async () => {
      await (await DiffusionPipeline.fromPretrained(folder, { log: () => {} })).dispose();
    }),
    'plan of the largest U-Net': () => native().planUnet(largeUnet(), size).promise,
  };
  for (const [name, path] of Object.entries(tokenizers)) {
    cases[`tokenizer: ${name}`] = often(() => CLIPTokenizer.fromPretrained(path));
  }
  return cases;
}

function prompts(pipe: DiffusionPipeline): Record<string, Case> {
  const small = { prompt: 'a', steps: 1, width: 64, height: 64 };
  const cases: Record<string, Case> = {};
  const add = (name: string, options: object) => {
    cases[`prompt: ${name}`] = often(() => pipe.generate({ ...small, ...options } as GenerateOptions));
  };
  for (const [name, text] of Object.entries(longPrompts())) {
    add(name, { guidanceScale: 1, prompt: text, promptWeighting: /bracket|weight/.test(name) });
  }
  // What runs take without a long prompt, to hold the others against.
  add('one letter', { guidanceScale: 1, prompt: 'a' });
  const { words } = longPrompts();
  add('negative', { negativePrompt: words, promptWeighting: true });
  add('long', { guidanceScale: 1, longPrompts: true, prompt: words?.slice(0, 2 ** 15) });
  return cases;
}

async function pictures(pipe: DiffusionPipeline): Promise<Record<string, Case>> {
  const fromPicture = pipelineForInputs(pipe, { image: true, mask: false });
  const inMask = pipelineForInputs(pipe, { image: true, mask: true });
  for (const { unet } of [fromPicture, inMask]) shorten(unet);
  const picture = await largePicture();
  const base64 = Buffer.from(picture.toString('base64'), 'latin1').toString('latin1');
  const run = {
    prompt: 'a lighthouse',
    steps: 2,
    strength: 0.5,
    guidanceScale: 1,
    image: picture,
    vaeTiling: true,
  };
  const toSmall = (image: unknown) => fromPicture.generate({ ...run, image, width: 64, height: 64 } as never);
  // Made here: filling it takes a tenth of a second.
  const data = new Uint8Array(3 * pixels * pixels).fill(100);
  const raw = { data, width: pixels, height: pixels };
  const text = { parameters: longPrompts().words as string };
  const side = pixels / 8;
  return {
    'picture: to small': () => toSmall(picture),
    'picture: base64': () => toSmall(base64),
    'picture: raw': () => toSmall({ ...raw, channels: 3 }),
    'picture: to latents': () => fromPicture.generate({ ...run, output: 'latent' } as never),
    'picture: to picture': async () => {
      const { images } = await fromPicture.generate({ ...run, previewEvery: 1, onStep: () => {} } as never);
      await images[0]?.toBuffer('png');
    },
    'picture: inpainting': () => inMask.generate({ ...run, maskImage: picture, keepOriginal: true } as never),
    'picture: preview': () => {
      const latents = new Float32Array(4 * side * side);
      return new LatentPreview(latents, [1, 4, side, side], linearLook(SD_PROJECTION, 8)).toImage();
    },
    'picture: floats': async () => {
      return Image.fromFloat(await new Image(raw).toFloat(), pixels, pixels);
    },
    'picture: PNG with text': () => new Image({ ...raw, metadata: text }).toBuffer('png'),
    'picture: JPEG with text': () => {
      const parameters = text.parameters.slice(0, 50_000);
      const metadata = { parameters };
      return new Image({ ...raw, metadata }).toBuffer('jpeg');
    },
  };
}

/** Ends the U-Net's runs after half a second: attention over a million latent pixels takes hours on a CPU. */
function shorten(unet: { native: NativeUnet }): void {
  const own = unet.native;
  const denoise = (request: DenoiseRequest, onStep: () => void): Job<DenoiseResult> => {
    const latents = new Float32Array(request.batch * own.outChannels * request.height * request.width);
    const job = own.denoise(request, onStep);
    setTimeout(job.cancel, 500);
    const rows = { rowMilliseconds: new Float64Array(1), rowPrograms: [0], rowChanges: [undefined] };
    const done = { latents, slots: {}, ...rows, prepareMilliseconds: 0 };
    return { promise: job.promise.catch(() => done), cancel: job.cancel };
  };
  const value = new Proxy(own, {
    get(target, key) {
      const found = Reflect.get(target, key);
      if (key === 'denoise') return denoise;
      return typeof found === 'function' ? found.bind(target) : found;
    },
  });
  Object.defineProperty(unet, 'native', { value });
}

/** A PNG with something to decode. */
async function largePicture(): Promise<Buffer> {
  const sharp = await loadSharp();
  const noise = { type: 'gaussian' as const, mean: 128, sigma: 30 };
  const tile = await sharp({ create: { width: 64, height: 64, channels: 3, background: 'black', noise } })
    .png()
    .toBuffer();
  return sharp(tile).resize(pixels, pixels, { fit: 'fill' }).png({ compressionLevel: 1 }).toBuffer();
}

await main();
