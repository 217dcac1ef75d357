import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  DiffusionPipeline,
  type GenerateOptions,
  Image,
  StableDiffusionImg2ImgPipeline,
  StableDiffusionInpaintPipeline,
  StableDiffusionXLImg2ImgPipeline,
  TextToVideoZeroPipeline,
} from '../../lib/index.js';
import { native } from '../../lib/native/binding.js';
import { entries, type OptionName } from '../../lib/options/spec/index.js';
import { repeatOptions } from '../../lib/settings/options.js';
import { parseSettings } from '../../lib/settings/parse.js';
import {
  writeControlNet,
  writeDdpm,
  writeLdm,
  writeRefiner,
  writeVideo,
} from '../composition/made-systems.js';
import { adapterFile } from '../models/tiny-motion.js';
import { writeSd, writeUpscaler, writeXl } from '../pipelines/made-models.js';
import { SIZE } from '../pipelines/tiny.js';
import { writeT2IAdapter } from '../t2i-adapter-file.js';

// Every option that makes a picture is in the picture's settings, and comes back from them.

let root: string;
const file = (name: string) => join(root, name);
const pipes: Record<string, DiffusionPipeline> = {};

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'deepcache-told-'));
  const load = async (folder: string, options: object = {}) =>
    (await DiffusionPipeline.fromPretrained(folder, {
      device: 'cpu',
      log: () => {},
      ...options,
    })) as DiffusionPipeline;
  const sd = await writeSd(file('sd'), {});
  const made = (name: string, className: string, channels: number) =>
    writeSd(file(name), { index: { _class_name: className }, unet: { in_channels: channels } });
  pipes.sd = await load(sd);
  pipes.img2img = StableDiffusionImg2ImgPipeline.from(pipes.sd) as never;
  pipes.inpaint = StableDiffusionInpaintPipeline.from(pipes.sd) as never;
  pipes.zero = TextToVideoZeroPipeline.from(pipes.sd) as never;
  pipes.control = await load(sd, { controlNet: await writeControlNet(sd, root, 'net') });
  pipes.t2i = await load(sd, { t2iAdapter: await writeT2IAdapter(file('t2i')) });
  pipes.pix2pix = await load(await made('pix2pix', 'StableDiffusionInstructPix2PixPipeline', 8));
  pipes.depth2img = await load(await made('depth', 'StableDiffusionDepth2ImgPipeline', 5));
  pipes.x4 = await load(await writeUpscaler(file('x4')));
  pipes.xl = await load(await writeXl(file('xl')));
  pipes.refiner = await load(await writeRefiner(file('refiner')));
  pipes['xl-img2img'] = StableDiffusionXLImg2ImgPipeline.from(pipes.xl) as never;
  pipes.animatediff = await load(sd, { motionAdapter: adapterFile(root, 'motion.safetensors') });
  pipes.svd = await load(await writeVideo(file('video')));
  pipes.ldm = await load(await writeLdm(file('ldm')));
  pipes.ddpm = await load(await writeDdpm(file('ddpm')));
  const config = { _class_name: 'SRVGGNetCompact', num_feat: 4, num_conv: 1, upscale: 2 };
  const tensors = native().weightShapes('upscaler', JSON.stringify(config));
  await native().writeSynthetic({ path: file('x2.safetensors'), tensors, dtype: 'float32' }).promise;
  const data = Uint8Array.from({ length: 3 * SIZE * SIZE }, (_, i) => (i * 7) % 256);
  await new Image({ width: SIZE, height: SIZE, data }).save(file('photo.png'));
});
afterAll(async () => {
  for (const pipe of Object.values(pipes)) await pipe.dispose();
  rmSync(root, { recursive: true });
});

const photo = { file: expect.stringContaining('photo.png'), hash: expect.stringMatching(/^[0-9a-f]{12}$/) };
/** What a system's runs need; `PHOTO` is a file. */
const NEEDS: Record<string, object> = {
  img2img: { image: 'PHOTO' },
  inpaint: { image: 'PHOTO', maskImage: 'PHOTO' },
  pix2pix: { image: 'PHOTO' },
  depth2img: { image: 'PHOTO', depthMap: 'PHOTO' },
  x4: { image: 'PHOTO', width: 16, height: 16 },
  'xl-img2img': { image: 'PHOTO', strength: 0.7 },
  refiner: { image: 'PHOTO', strength: 0.7 },
  control: { controlImage: 'PHOTO' },
  t2i: { t2iAdapterImage: 'PHOTO' },
  svd: { image: 'PHOTO', width: SIZE, height: SIZE },
  ldm: { classLabels: 1 },
  zero: { videoLength: 2, t0: 1, t1: 2 },
  animatediff: { numFrames: 2 },
};
const UNPROMPTED = ['svd', 'ldm', 'ddpm'];

interface Case {
  /** Of {@link pipes}; SD by default. */
  readonly of?: string;
  readonly value: unknown;
  /** Options that it needs. */
  readonly with?: object;
  /** What comes back, where that is not the option as it was given. */
  readonly back?: object;
}
const of = (system: string, value: unknown, more: Partial<Case> = {}): Case => ({
  of: system,
  value,
  ...more,
});
const sd = (value: unknown, more: Partial<Case> = {}): Case => ({ value, ...more });

/** Options that make a picture. */
const TOLD: { readonly [Name in OptionName]?: Case } = {
  prompt: sd('a boat, "red": no'),
  negativePrompt: sd('fog'),
  clipSkip: sd(1),
  longPrompts: sd(true),
  promptWeighting: sd(true),
  prompt2: of('xl', 'b'),
  negativePrompt2: of('xl', 'c'),
  originalSize: of('xl', [32, 48]),
  cropsCoordsTopLeft: of('xl', [1, 2]),
  targetSize: of('xl', [48, 32]),
  negativeOriginalSize: of('xl', [32, 40]),
  negativeCropsCoordsTopLeft: of('xl', [3, 4]),
  negativeTargetSize: of('xl', [40, 32]),
  aestheticScore: of('refiner', 7),
  negativeAestheticScore: of('refiner', 2),
  width: sd(72, { back: { width: 72, height: 64 } }),
  height: sd(72, { back: { width: 64, height: 72 } }),
  numImages: sd(2),
  batchSize: of('ddpm', 2, { back: { numImages: 2 } }),
  classLabels: of('ldm', 3, { with: { steps: 4 }, back: { classLabels: [3] } }),
  image: of('img2img', 'PHOTO', { back: { image: photo } }),
  maskImage: of('inpaint', 'PHOTO', { back: { maskImage: photo } }),
  depthMap: of('depth2img', 'PHOTO', { back: { depthMap: photo } }),
  noiseLevel: of('x4', 30),
  strength: of('img2img', 0.6),
  keepOriginal: of('inpaint', true),
  maskBlur: of('inpaint', 2),
  paddingMaskCrop: of('inpaint', 0),
  vaeTiling: sd({ tileSize: 64, overlap: 16 }),
  hiresFix: sd({ scale: 1.5, strength: 0.7, upscaler: 'nearest', seed: 9n }),
  upscale: sd(
    { upscaler: 'NETWORK', scale: 1.5 },
    {
      back: { upscale: { upscaler: expect.stringContaining('x2.safetensors'), scale: 1.5 } },
    },
  ),
  denoisingEnd: of('xl', 0.5),
  controlImage: of('control', 'PHOTO', {
    back: { controlImage: photo, controlNet: [expect.stringMatching(/net$/)] },
  }),
  controlPreprocess: of('control', 'canny', { back: { controlPreprocess: ['canny'] } }),
  controlResize: of('control', 'fill'),
  controlScale: of('control', 0.5, { back: { controlScale: [0.5] } }),
  controlStart: of('control', 0.25, { back: { controlStart: [0.25] } }),
  controlEnd: of('control', 0.75, { back: { controlEnd: [0.75] } }),
  guessMode: of('control', true),
  controlCache: of('control', 'live'),
  t2iAdapterImage: of('t2i', 'PHOTO', {
    back: { t2iAdapterImage: photo, t2iAdapter: [expect.stringMatching(/t2i$/)] },
  }),
  t2iAdapterScale: of('t2i', 0.5, { back: { t2iAdapterScale: [0.5] } }),
  t2iAdapterFactor: of('t2i', 0.5),
  numFrames: of('animatediff', 3),
  freeNoise: of(
    'animatediff',
    { contextLength: 4, contextStride: 2, weightingScheme: 'flat', noiseType: 'random' },
    { with: { numFrames: 6 } },
  ),
  minGuidanceScale: of('svd', 1.5),
  maxGuidanceScale: of('svd', 2.5),
  fps: of('svd', 6),
  motionBucketId: of('svd', 99),
  noiseAugStrength: of('svd', 0.1),
  decodeChunkSize: of('svd', 1),
  interleaveContexts: of('svd', true),
  videoLength: of('zero', 3, { back: { videoLength: 3, frameIds: [0, 1, 2] } }),
  frameIds: of('zero', [2, 4]),
  motionFieldStrengthX: of('zero', 5),
  motionFieldStrengthY: of('zero', 6),
  t0: of('zero', 0),
  t1: of('zero', 2),
  steps: sd(4),
  guidanceScale: sd(3),
  guidanceRescale: sd(0.5),
  guidanceSchedule: sd([4, 3, 2], { with: { scheduler: 'DDIM' } }),
  cutoffStepIndex: sd(1),
  cutoffStepRatio: sd(0.5),
  guider: sd('apg'),
  guiderOptions: sd({ eta: 0.5 }, { with: { guider: 'apg' } }),
  pagScale: sd(2),
  pagAdaptiveScale: sd(0.001, { with: { pagScale: 2 } }),
  pagAppliedLayers: sd(['mid'], { with: { pagScale: 2 } }),
  sagScale: sd(0.75),
  freeU: sd({ b1: 1.4, b2: 1.6, s1: 0.9, s2: 0.2 }),
  imageGuidanceScale: of('pix2pix', 2),
  seed: sd(9007199254740993n),
  seeds: sd([3n], { back: { seed: 3n } }),
  cache: sd({ interval: 2, branch: 1 }),
  scheduler: sd('UniPCMultistep'),
  schedulerOptions: sd({ sChurn: 1 }, { with: { scheduler: 'EulerDiscrete' } }),
  timesteps: sd([900, 500, 100], { with: { scheduler: 'EulerDiscrete' } }),
  sigmas: sd([9, 3, 1], { with: { scheduler: 'EulerDiscrete' } }),
  eta: sd(0.5, { with: { scheduler: 'DDIM' } }),
};

/** Settings say that there were some; they cannot be repeated from them. */
const GIVEN: readonly OptionName[] = [
  ...([
    'latents',
    'promptEmbeds',
    'negativePromptEmbeds',
    'pooledPromptEmbeds',
    'negativePooledPromptEmbeds',
  ] as const),
  ...(['imageNoise', 'forwardNoise', 'denoisingStart'] as const),
];
/** They change nothing in a picture. */
const SILENT: readonly OptionName[] = [
  ...([
    'output',
    'onStep',
    'previewEvery',
    'latentsEvery',
    'signal',
    'log',
    'onProgress',
    'maxPending',
  ] as const),
  ...([
    'threads',
    'autotune',
    'token',
    'offline',
    'cacheDir',
    'modelsDir',
    'unloadTextEncoder',
    'fitPreviews',
    'previewVae',
  ] as const),
];
/** Which model and device: settings have their fingerprint and names, and they are given again beside them. */
const BESIDE: readonly OptionName[] = [
  ...([
    'device',
    'dtype',
    'variant',
    'revision',
    'config',
    'unet',
    'vae',
    'textEncoder',
    'textEncoder2',
    'useEma',
  ] as const),
  ...(['motionAdapter', 'controlNet', 't2iAdapter', 'loraSyntax'] as const),
];
/** Their own tests are elsewhere: test/ip-adapter, and docs/few-step.md, of which settings have the values. */
const ELSEWHERE: readonly OptionName[] = [
  'ipAdapterImage',
  'ipAdapterImageEmbeds',
  'ipAdapterScale',
  'distilled',
];
/** A kind of picture that a ControlNet-Union sees: there is none here. */
const UNTRIED: readonly OptionName[] = ['controlMode'];

test('every option is told, or on a list that says why not', () => {
  const lists = [Object.keys(TOLD), GIVEN, SILENT, BESIDE, ELSEWHERE, UNTRIED] as const;
  const places = entries
    .filter(([, { aliasOf }]) => aliasOf === undefined)
    .map(([name]) => [name, lists.filter((list) => list.includes(name)).length]);
  expect(places.filter(([, count]) => count !== 1)).toEqual([]);
});

describe('comes back from the settings', () => {
  test.each(Object.entries(TOLD))('%s', async (name, { of: system = 'sd', value, with: beside, back }) => {
    const files: Record<string, string> = { PHOTO: file('photo.png'), NETWORK: file('x2.safetensors') };
    const filled = (given: unknown): unknown => {
      if (typeof given === 'string') return files[given] ?? given;
      if (typeof given !== 'object' || given === null || Array.isArray(given)) return given;
      return Object.fromEntries(Object.entries(given).map(([key, one]) => [key, filled(one)]));
    };
    const prompt = UNPROMPTED.includes(system) ? {} : { prompt: 'a' };
    const steps = name === 'timesteps' || name === 'sigmas' ? {} : { steps: 3 };
    const run = { ...prompt, ...steps, seed: 5, ...NEEDS[system], ...beside, [name]: value };
    if (name === 'seeds') delete (run as { seed?: unknown }).seed;
    const pipe = pipes[system] as DiffusionPipeline;
    const { settings } = await pipe.generate(filled(run) as GenerateOptions);
    const { options } = repeatOptions(parseSettings(settings[0] as string));
    expect(options).toMatchObject(back ?? { [name]: value });
  });
});
