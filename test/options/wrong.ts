import type { OptionName } from '../../lib/options/spec/index.js';

const { NaN: nan, POSITIVE_INFINITY: infinity } = Number;

const tensor = (shape: number[], value = 0) => ({
  data: new Float32Array(shape.reduce((a, b) => a * b)).fill(value),
  shape,
});

const whole = [0, -1, 1.5, nan, infinity, '20', 10n, null, 2 ** 40];
const real = [nan, infinity, -1e9, 1e9, '7.5', null, [7]];
const share = [nan, -0.1, 1.1, '0.7', true, null];
const path = ['', 5, null, {}, ['a']];
const flag = [1, 'true', null, {}];
const texts = [5, {}, [], ['a', 5], [['a']], Symbol('a')];
const list = [5, 'all', [], [nan], ['5'], null];
const pair = [5, [], [1], [1, 2, 3], [-1, 0], [nan, 1], '8x8', null];
const tensors = (rank: number) => [
  5,
  null,
  {},
  new Float32Array(4),
  tensor(new Array(rank + 1).fill(1)),
  tensor(new Array(rank).fill(1), nan),
  { data: new Float32Array(3), shape: new Array(rank).fill(2) },
  { data: new Float64Array(1), shape: new Array(rank).fill(1) },
  { data: new Float32Array(1), shape: '1' },
  { data: new Float32Array(0), shape: new Array(rank).fill(0) },
];
const pictures = [null, 5, {}, [], tensor([3, 8, 8]), tensor([1, 5, 8, 8]), [{ data: 'a' }]];

/** Values that no family takes; a new option without them does not compile. */
export const WRONG: { readonly [Name in OptionName]: readonly unknown[] } = {
  prompt: [...texts, null],
  negativePrompt: texts,
  promptEmbeds: tensors(3),
  negativePromptEmbeds: [...tensors(3), tensor([1, 1, 1])],
  pooledPromptEmbeds: [...tensors(2), tensor([1, 1])],
  negativePooledPromptEmbeds: [...tensors(2), tensor([1, 1])],
  clipSkip: [-1, 1.5, nan, '1', null],
  longPrompts: flag,
  promptWeighting: flag,
  prompt2: texts,
  negativePrompt2: texts,
  originalSize: pair,
  cropsCoordsTopLeft: pair,
  targetSize: pair,
  negativeOriginalSize: pair,
  negativeCropsCoordsTopLeft: pair,
  negativeTargetSize: pair,
  aestheticScore: real,
  negativeAestheticScore: real,
  width: whole,
  height: whole,
  numImages: whole,
  numImagesPerPrompt: whole,
  batchSize: whole,
  classLabels: [null, 'dog', [], [1.5], [-1], nan, [['1']]],
  image: pictures,
  maskImage: pictures,
  strength: share,
  keepOriginal: flag,
  latents: tensors(4),
  vaeTiling: [1, 'yes', null, [64], { tile: 64 }, { tileSize: 0 }, { tileSize: 65 }, { overlap: -8 }],
  denoisingEnd: [...share, 0, 1],
  denoisingStart: [...share, 0, 1],
  numFrames: whole,
  minGuidanceScale: real,
  maxGuidanceScale: real,
  fps: real,
  motionBucketId: real,
  noiseAugStrength: real,
  decodeChunkSize: whole,
  imageNoise: tensors(4),
  interleaveContexts: flag,
  videoLength: [...whole, 1],
  frameIds: list,
  motionFieldStrengthX: real,
  motionFieldStrengthY: real,
  t0: [-1, 1.5, nan, '1', null],
  t1: [0, -1, 1.5, nan, '1', null],
  forwardNoise: tensors(4),
  steps: whole,
  numInferenceSteps: whole,
  guidanceScale: real,
  guidanceRescale: share,
  seed: [1.5, nan, '1', null, {}, 2 ** 53, 2n ** 64n],
  seeds: [5, 'ab', null, [], [1.5], ['1'], [null], [2n ** 64n]],
  cache: ['turbo', '', 3, true, null, [], [0, 2]],
  scheduler: [5, true, null, []],
  schedulerOptions: [5, 'sChurn', null, [1]],
  timesteps: list,
  sigmas: list,
  eta: share,
  output: ['png', '', 5, {}, null],
  onStep: [5, 'log', {}, null],
  previewEvery: whole,
  latentsEvery: whole,
  signal: [5, {}, 'stop', null],
  device: ['gpu', 5, null, 'cuda:x'],
  dtype: ['fp4', 5, null],
  threads: [-1, 1.5, nan, '2', null],
  autotune: flag,
  variant: ['', '../x', 5, null],
  config: path,
  vae: path,
  textEncoder: path,
  textEncoder2: path,
  useEma: flag,
  unloadTextEncoder: flag,
  fitPreviews: flag,
  maxPending: [0, -1, 1.5, nan, '2', null],
  log: [5, 'stderr', {}, null],
};
