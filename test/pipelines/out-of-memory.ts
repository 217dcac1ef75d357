import { type GenerateOptions, StableDiffusionImg2ImgPipeline } from '../../lib/index.js';
import { native } from '../../lib/native/binding.js';
import { latentsOf, loadTiny, rejection, sameBits } from './tiny.js';

// Runs outside of Jest, whose process.env is a copy that native code does not see. Prints one JSON object with what
// happened, for out-of-memory.test.ts to judge.

const limit = (bytes: number | string) => {
  process.env.DEEPCACHE_MEMORY_LIMIT = String(bytes);
};
const noLimit = () => {
  delete process.env.DEEPCACHE_MEMORY_LIMIT;
};

const pipe = await loadTiny();
const expected = await latentsOf(pipe);
const report: Record<string, unknown> = {};

/** Code and message, the steps that were run and the bytes that were taken all the same. */
async function refused(
  options: GenerateOptions,
  generate = (run: GenerateOptions): Promise<unknown> => pipe.generate(run),
) {
  let steps = 0;
  const before = native().residentMemory();
  const { code, message } = await rejection(generate({ ...options, onStep: () => steps++ }));
  const taken = native().residentMemory() - before;
  return { code, message, steps, taken, worksOn: sameBits(await latentsOf(pipe), expected) };
}

const large = { prompt: 'a', width: 512, height: 512, steps: 2 } as const;
const decoding = await pipe.vae.decodeBytes({ height: 64, width: 64 });
limit(decoding / 2);
report.large = await refused(large);
report.many = await refused({ prompt: 'a', width: 64, height: 64, numImages: 512, steps: 1 });
report.huge = await refused({ prompt: 'a', width: 16384, height: 16384, numImages: 64, steps: 1 });

const latentOnly = { ...large, output: 'latent' } as const;
limit(1.5 * (await pipe.unet.runBytes({ batch: 1, height: 64, width: 64 })));
report.guidance = await refused(latentOnly);
report.noGuidance = (await pipe.generate({ ...latentOnly, guidanceScale: 1 })).stats.calls;
pipe.unet.native.trim();

const run = await pipe.unet.runBytes({ batch: 2, height: 64, width: 64 });
limit(run + decoding / 2);
report.decoding = await refused(large);
report.noDecoding = (await pipe.generate(latentOnly)).stats.calls;

report.tiled = (await pipe.generate({ ...large, vaeTiling: true })).stats.calls;
pipe.unet.native.trim();

const words = { prompt: 'lighthouse '.repeat(4000), steps: 2, output: 'latent' } as const;
limit(1.5 * (await pipe.unet.runBytes({ batch: 2, height: 8, width: 8, contextLength: 77 })));
report.longPrompt = await refused({ ...words, longPrompts: true });
report.cutPrompt = (await pipe.generate(words)).stats.calls;

// Encoding at 512x512 takes more than two steps' worth of latents without guidance.
const encode = await pipe.vae.encodeBytes({ height: 64, width: 64 });
const half = await pipe.unet.runBytes({ batch: 1, height: 64, width: 64 });
const fromImage = StableDiffusionImg2ImgPipeline.from(pipe);
const picture = { data: new Float32Array(3 * 512 * 512), shape: [1, 3, 512, 512] };
const variation = { ...latentOnly, guidanceScale: 1, image: picture } as const;
limit(half + encode / 2);
report.encoding = await refused(variation, (options) => fromImage.generate({ ...options, image: picture }));
report.tiledEncoding = (await fromImage.generate({ ...variation, vaeTiling: true })).stats.calls;
await fromImage.dispose();

limit('lots');
const bad = await rejection(pipe.generate({ prompt: 'a', steps: 1 }));
report.bad = { code: bad.code, message: bad.message };

const loading: unknown[] = [];
for (const bytes of [0, 1000, 500_000, 2_000_000, 5_000_000]) {
  limit(bytes);
  const { code, message } = await rejection(loadTiny());
  loading.push({ code, message });
}
report.loading = loading;

limit(2_000_000);
for (let i = 0; i < 10; i++) await rejection(loadTiny());
const before = native().residentMemory();
for (let i = 0; i < 50; i++) await rejection(loadTiny());
report.growth = native().residentMemory() - before;

limit(200e6);
const other = await loadTiny();
report.enough = sameBits(await latentsOf(other), expected);
noLimit();
await other.dispose();
await pipe.dispose();
process.stdout.write(JSON.stringify(report));
