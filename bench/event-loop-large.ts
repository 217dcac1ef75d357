// npx tsx bench/event-loop-large.ts [pixels] [model folder] [case ...]
//
// How long the event loop stalls for inputs and results that are as large as a server may meet: a prompt of a
// megabyte, pictures of 8192x8192 as input and as result. Prints JSON.

import { loadSharp } from '../lib/images/sharp.js';
import { DiffusionPipeline, type GenerateOptions, pipelineForInputs } from '../lib/index.js';
import type { DenoiseRequest, DenoiseResult, Job, NativeUnet } from '../lib/native/types.js';
import { machine, mebibytes, TINY_MODEL } from './measure.js';
import { stallsOf } from './stalls.js';

const pixels = Number(process.argv[2] ?? 8192);
const folder = process.argv[3] ?? TINY_MODEL;
const wanted = process.argv.slice(4);

const MEGABYTE = 2 ** 20;
async function main(): Promise<void> {
  const pipe = await DiffusionPipeline.fromPretrained(folder, { log: () => {} });
  const fromPicture = pipelineForInputs(pipe, { image: true, mask: false });
  const inMask = pipelineForInputs(pipe, { image: true, mask: true });
  for (const { unet } of [fromPicture, inMask]) shorten(unet);
  const words = 'a lighthouse at dusk, oil on canvas, '.repeat(MEGABYTE / 37);
  const small = { steps: 1, guidanceScale: 1, width: 64, height: 64 };
  const generate = (text: string, promptWeighting: boolean) =>
    pipe.generate({ ...small, prompt: text, promptWeighting } as GenerateOptions);
  // As often as a server meets them, so that the first use of code and files does not count for much.
  const prompt = (text: string, promptWeighting: boolean) => async () => {
    for (let i = 0; i < 10; i++) await generate(text, promptWeighting);
  };
  const picture = await largePicture();
  const large = {
    prompt: 'a lighthouse',
    steps: 2,
    strength: 0.5,
    guidanceScale: 1,
    image: picture,
    vaeTiling: true,
  };
  const cases: Record<string, () => Promise<unknown>> = {
    load: () => DiffusionPipeline.fromPretrained(folder, { log: () => {} }).then((own) => own.dispose()),
    'plain prompt': prompt(words, false),
    'weighted prompt': prompt(
      '(a lighthouse:1.2) at ((dusk)), [oil] on canvas, '.repeat(MEGABYTE / 48),
      true,
    ),
    brackets: prompt('('.repeat(MEGABYTE), true),
    'picture to small': () => fromPicture.generate({ ...large, width: 64, height: 64 } as never),
    'picture to latents': () => fromPicture.generate({ ...large, output: 'latent' } as never),
    'picture to picture': async () => {
      const { images } = await fromPicture.generate({ ...large, previewEvery: 1, onStep: () => {} } as never);
      await images[0]?.toBuffer('png');
    },
    inpainting: () => inMask.generate({ ...large, maskImage: picture, keepOriginal: true } as never),
  };
  const results: Record<string, unknown> = {};
  for (const [name, work] of Object.entries(cases)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
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
  console.log(JSON.stringify({ benchmark: 'event-loop-large', ...machine(), pixels, results }, null, 2));
}

/** Ends the U-Net's runs after half a second: attention over a million latent pixels takes hours on a CPU. */
function shorten(unet: { native: NativeUnet }): void {
  const own = unet.native;
  const denoise = (request: DenoiseRequest, onStep: () => void): Job<DenoiseResult> => {
    const latents = new Float32Array(request.batch * own.outChannels * request.height * request.width);
    const job = own.denoise(request, onStep);
    setTimeout(job.cancel, 500);
    const done = { latents, slots: {}, rowMilliseconds: new Float64Array(1), prepareMilliseconds: 0 };
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
