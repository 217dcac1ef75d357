import {
  DeepCacheError,
  type DeepCacheErrorCode,
  DiffusionPipeline,
  type GenerateOptions,
  type GenerateResult,
  type Image,
  type ImageResult,
  StableDiffusionImg2ImgPipeline,
  StableDiffusionPipeline,
  StableDiffusionXLImg2ImgPipeline,
  StableDiffusionXLPipeline,
  StableVideoDiffusionPipeline,
  type Tensor,
  type TensorResult,
} from 'deepcache';
import { compare, measureQuality, tune } from 'deepcache/evaluate';
import { same, value } from './tools.js';

// What results, loaded pipelines and errors are. Nothing here is run.

/** The result follows `output`. */
export async function results(pipe: StableDiffusionPipeline, options: GenerateOptions) {
  const image = await pipe.generate({ prompt: 'a' });
  same<typeof image, ImageResult>();
  // Under noUncheckedIndexedAccess, too.
  await image.images[0].save('a.png');
  same<(typeof image.images)[0], Image>();
  same<typeof image.tensor, undefined>();

  const named = await pipe.generate({ prompt: 'a', output: 'image' });
  same<typeof named, ImageResult>();

  const latent = await pipe.generate({ prompt: 'a', output: 'latent' });
  same<typeof latent, TensorResult>();
  same<typeof latent.tensor, Tensor>();
  // @ts-expect-error it has no images
  latent.images[0].save('a.png');

  const floats = await pipe.generate({ prompt: 'a', output: 'float32' });
  same<typeof floats.tensor, Tensor>();

  // Of options whose output is not known it may be either, and the tensor tells.
  const either: GenerateResult = await pipe.generate(
    options as GenerateOptions & { output: 'image' | 'latent' },
  );
  if (either.tensor) same<typeof either, TensorResult>();
  else await either.images[0].save('a.png');
}

export async function events(pipe: StableDiffusionPipeline) {
  for await (const event of pipe.stream({ prompt: 'a', output: 'latent' })) {
    if (event.type === 'step') same<typeof event.call, number>();
    else same<typeof event.tensor, Tensor>();
  }
  await pipe.generate({
    prompt: 'a',
    onStep: ({ call, calls, full, preview }) => `${call} of ${calls} ${full} ${preview?.shape}`,
  });
  const { stats } = await pipe.generate({ prompt: 'a' });
  same<typeof stats.calls | typeof stats.fullCalls | typeof stats.retrieveCalls, number>();
  // @ts-expect-error
  stats.fullSteps;
}

/** What a folder holds is known by `instanceof`; without it a pipeline makes pictures from text. */
export async function families() {
  const pipe = await DiffusionPipeline.fromPretrained('demo');
  same<typeof pipe, DiffusionPipeline>();
  await pipe.generate({ prompt: 'a' });
  // @ts-expect-error
  await pipe.generate({});
  // @ts-expect-error
  await pipe.generate({ prompt: 'a', denoisingEnd: 0.8 });
  // @ts-expect-error
  await pipe.generate({ prompt: 'a', image: 'a.png' });

  if (pipe instanceof StableDiffusionXLPipeline) {
    const { tensor } = await pipe.generate({ prompt: 'a', denoisingEnd: 0.8, output: 'latent' });
    const refiner = StableDiffusionXLImg2ImgPipeline.from(pipe);
    const { images } = await refiner.generate({ prompt: 'a', image: tensor, denoisingStart: 0.8 });
    same<(typeof images)[0], Image>();
  } else if (pipe instanceof StableDiffusionImg2ImgPipeline) {
    await pipe.generate({ prompt: 'a', image: 'a.png' });
  } else if (pipe instanceof StableVideoDiffusionPipeline) {
    await pipe.generate({ image: 'a.png' });
  }

  const known = await StableDiffusionXLPipeline.fromPretrained('models/sdxl', { device: 'cuda:1' });
  same<typeof known, StableDiffusionXLPipeline>();
  const made = StableDiffusionImg2ImgPipeline.from(await StableDiffusionPipeline.fromPretrained('demo'));
  same<typeof made, StableDiffusionImg2ImgPipeline>();
  // @ts-expect-error no such device
  await DiffusionPipeline.fromPretrained('demo', { device: 'gpu' });
  // @ts-expect-error
  await DiffusionPipeline.fromPretrained('demo', { dtype: 'float16' });
  // @ts-expect-error
  await DiffusionPipeline.fromPretrained('demo', { scheduler: 'EulerDiscreet' });
}

/** Encoded prompts are options. */
export async function encoded(pipe: StableDiffusionPipeline, xl: StableDiffusionXLPipeline) {
  await pipe.generate({ ...(await pipe.encodePrompt({ prompt: 'a' })), seed: 1 });
  await xl.generate({ ...(await xl.encodePrompt({ prompt: 'a' })), seed: 1 });
  // @ts-expect-error
  await pipe.encodePrompt({});
}

/** The laboratory takes the options of the pipeline. */
export async function laboratory(pipe: StableDiffusionPipeline, from: StableDiffusionImg2ImgPipeline) {
  const { runs } = await compare(pipe, { prompt: 'a', seed: 1 }, ['fast', { interval: 2 }]);
  for (const { cache, stats } of runs) await pipe.generate({ prompt: 'a', cache, steps: stats.calls });
  await compare(from, { prompt: 'a', image: 'a.png' });
  const prompts = { prompts: ['a'], validationPrompts: ['b'] };
  const { cache } = await tune(pipe, { steps: 25 }, { minPsnr: 30 }, prompts);
  await pipe.generate({ prompt: 'a', cache });
  await measureQuality(pipe, { steps: 25 }, ['fast'], { prompts: ['a'] });
  // @ts-expect-error no picture
  await compare(from, { prompt: 'a' });
  // @ts-expect-error no prompt
  await compare(pipe, { seed: 1 });
  // @ts-expect-error nothing is said
  await compare(pipe, { prompt: 'a' }, [{}]);
}

export function errors(error: unknown) {
  if (!(error instanceof DeepCacheError)) return;
  same<typeof error.code, DeepCacheErrorCode>();
  // @ts-expect-error no such code
  if (error.code === 'ERR_DEEPCACHE_OOM') return;
  value<DeepCacheErrorCode>() satisfies `ERR_DEEPCACHE_${string}`;
}
