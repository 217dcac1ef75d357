import type {
  CacheOptions,
  ClassConditionalLDMPipeline,
  DDPMPipeline,
  EncodedPrompt,
  GenerateOptions,
  StableDiffusionImg2ImgPipeline,
  StableDiffusionInpaintPipeline,
  StableDiffusionPipeline,
  StableDiffusionXLPipeline,
  StableVideoDiffusionPipeline,
  Tensor,
  TextToVideoZeroPipeline,
} from 'deepcache';
import { Scheduler } from 'deepcache/schedulers';
import { value } from './tools.js';

// Options that a run takes compile, and others do not. Nothing here is run.

const pipe = value<StableDiffusionPipeline>();
const tensor = value<Tensor>();

export const texts = [
  pipe.generate({ prompt: 'a barn' }),
  pipe.generate({ prompt: ['a barn', 'a boat'], negativePrompt: 'text', numImages: 2 }),
  pipe.generate({ promptEmbeds: tensor }),
  pipe.generate({ promptEmbeds: tensor, negativePromptEmbeds: tensor, steps: 20 }),
  pipe.generate({ ...value<EncodedPrompt>(), seed: 7 }),
  // @ts-expect-error neither a prompt nor what was encoded from one
  pipe.generate({}),
  // @ts-expect-error
  pipe.generate(),
  // @ts-expect-error
  pipe.generate({ steps: 20 }),
  // @ts-expect-error both
  pipe.generate({ prompt: 'a', promptEmbeds: tensor }),
  // @ts-expect-error negative ones go with others
  pipe.generate({ prompt: 'a', negativePromptEmbeds: tensor }),
  // @ts-expect-error
  pipe.generate({ promptEmbeds: tensor, negativePrompt: 'a', negativePromptEmbeds: tensor }),
  // @ts-expect-error no such option
  pipe.generate({ prompt: 'a', guidance_scale: 7 }),
  // @ts-expect-error SDXL's
  pipe.generate({ prompt: 'a', prompt2: 'b' }),
  // @ts-expect-error no such output
  pipe.generate({ prompt: 'a', output: 'png' }),
];

export const seeds = [
  pipe.generate({ prompt: 'a', seed: 1 }),
  pipe.generate({ prompt: 'a', seed: 2n ** 60n }),
  pipe.generate({ prompt: ['a', 'b'], seeds: [1, 2n] }),
  // @ts-expect-error one of them
  pipe.generate({ prompt: 'a', seed: 1, seeds: [1] }),
];

export const lists = [
  pipe.generate({ prompt: 'a', timesteps: [900, 500] }),
  pipe.generate({ prompt: 'a', sigmas: [10, 5] }),
  // @ts-expect-error one of them
  pipe.generate({ prompt: 'a', timesteps: [900], sigmas: [10] }),
];

export const caches: CacheOptions[] = [
  false,
  'balanced',
  { interval: 3 },
  { interval: 3, branch: 1, counter: 'helper' },
  { interval: 5, schedule: 'nonuniform', center: 15, power: 1.4 },
  { steps: [0, 3, 8] },
  // @ts-expect-error nothing is said
  {},
  // @ts-expect-error
  { branch: 1 },
  // @ts-expect-error one of them
  { interval: 3, steps: [0] },
  // @ts-expect-error uniform schedules have none
  { interval: 3, center: 15 },
  // @ts-expect-error the helper knows uniform ones only
  { interval: 3, schedule: 'nonuniform', counter: 'helper' },
  // @ts-expect-error
  'blanced',
  // @ts-expect-error
  true,
];

export const schedulers = [
  pipe.generate({ prompt: 'a', scheduler: 'EulerDiscrete' }),
  pipe.generate({ prompt: 'a', scheduler: 'EulerDiscreteScheduler' }),
  pipe.generate({ prompt: 'a', scheduler: 'DPM++ 2M Karras' }),
  pipe.generate({ prompt: 'a', scheduler: { use_karras_sigmas: true } }),
  pipe.generate({ prompt: 'a', scheduler: Scheduler.fromConfig({ _class_name: 'DDIM' }) }),
  // A name that the program learns where it runs.
  pipe.generate({ prompt: 'a', scheduler: { _class_name: value<string>() } }),
  // @ts-expect-error no such sampler
  pipe.generate({ prompt: 'a', scheduler: 'EulerDiscreet' }),
  // @ts-expect-error it might be no sampler
  pipe.generate({ prompt: 'a', scheduler: value<string>() }),
];

const img2img = value<StableDiffusionImg2ImgPipeline>();
const inpaint = value<StableDiffusionInpaintPipeline>();
export const pictures = [
  img2img.generate({ prompt: 'a', image: 'a.png', strength: 0.5 }),
  inpaint.generate({ prompt: 'a', image: 'a.png', maskImage: new Uint8Array(), keepOriginal: true }),
  // @ts-expect-error no picture
  img2img.generate({ prompt: 'a' }),
  // @ts-expect-error no prompt
  img2img.generate({ image: 'a.png' }),
  // @ts-expect-error no mask
  inpaint.generate({ prompt: 'a', image: 'a.png' }),
  // @ts-expect-error text to image starts from none
  pipe.generate({ prompt: 'a', image: 'a.png' }),
];

const xl = value<StableDiffusionXLPipeline>();
export const larger = [
  xl.generate({ prompt: 'a', prompt2: 'b', denoisingEnd: 0.8, originalSize: [1024, 1024] }),
  xl.generate({ promptEmbeds: tensor, pooledPromptEmbeds: tensor }),
  // @ts-expect-error pooled ones go with them
  xl.generate({ promptEmbeds: tensor }),
  // @ts-expect-error
  xl.generate({ prompt: 'a', pooledPromptEmbeds: tensor }),
  // @ts-expect-error
  xl.generate({}),
];

export const others = [
  value<StableVideoDiffusionPipeline>().generate({ image: 'a.png', fps: 7 }),
  value<TextToVideoZeroPipeline>().generate({ prompt: 'a', videoLength: 4 }),
  value<DDPMPipeline>().generate(),
  value<DDPMPipeline>().generate({ batchSize: 4, seeds: [1, 2, 3, 4] }),
  value<ClassConditionalLDMPipeline>().generate({ classLabels: [207] }),
  // @ts-expect-error a video begins with a picture
  value<StableVideoDiffusionPipeline>().generate({ fps: 7 }),
  // @ts-expect-error
  value<TextToVideoZeroPipeline>().generate({ videoLength: 4 }),
  // @ts-expect-error
  value<DDPMPipeline>().generate({ batchSize: 2, seed: 1, seeds: [1, 2] }),
  // @ts-expect-error
  value<ClassConditionalLDMPipeline>().generate({ seed: 1 }),
];

/** Options may be put together before they are used. */
export function together(prompt: string, seed: number | undefined) {
  const options: GenerateOptions = { prompt, ...(seed !== undefined && { seed }), steps: 20 };
  return [
    pipe.generate(options),
    pipe.generate({ ...options, output: 'latent' }),
    pipe.warmup({ width: 512 }),
  ];
}
