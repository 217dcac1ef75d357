import { expect, test } from '@jest/globals';
import { classOf, familyOf, pipelineOf } from '../lib/cli/family.js';
import type { GenerateFlags } from '../lib/cli/generate-options.js';
import { type DiffusionPipeline, TextToVideoZeroPipeline } from '../lib/index.js';
import { ALL } from '../lib/options/families.js';
import { findPipeline } from '../lib/pipelines/loading/registry.js';
import { loadTiny } from './pipelines/tiny.js';

const image = 'a.png';
const mask = 'b.png';

test.each<[string | undefined, GenerateFlags, string]>([
  [undefined, {}, 'text2img'],
  [undefined, { image }, 'img2img'],
  ['StableDiffusionPipeline', {}, 'text2img'],
  ['StableDiffusionPipeline', { image }, 'img2img'],
  ['StableDiffusionPipeline', { image, mask }, 'inpaint'],
  ['StableDiffusionPipeline', { frames: 3 }, 'zero'],
  ['LatentConsistencyModelPipeline', {}, 'text2img'],
  ['LatentConsistencyModelImg2ImgPipeline', {}, 'img2img'],
  ['StableDiffusionInpaintPipeline', {}, 'inpaint'],
  ['StableDiffusionInpaintPipeline', { image, mask }, 'inpaint'],
  ['StableDiffusionXLPipeline', {}, 'xl'],
  ['StableDiffusionControlNetPipeline', {}, 'text2img'],
  ['StableDiffusionXLControlNetPipeline', { image }, 'xl-img2img'],
  ['StableDiffusionXLAdapterPipeline', {}, 'xl'],
  ['StableDiffusionXLPipeline', { image }, 'xl-img2img'],
  ['StableDiffusionXLImg2ImgPipeline', { image }, 'xl-img2img'],
  ['StableDiffusionXLPipeline', { image, mask }, 'xl-inpaint'],
  ['StableVideoDiffusionPipeline', { image }, 'svd'],
  ['StableVideoDiffusionPipeline', { image, frames: 3 }, 'svd'],
  ['DDPMPipeline', { image }, 'ddpm'],
  ['ClassConditionalLDMPipeline', {}, 'ldm'],
])('%s with %j', (className, flags, family) => {
  expect(familyOf(className, flags)).toBe(family);
});

test('what videos of a picture model have nothing of is refused', () => {
  const videos = (flags: GenerateFlags) => () =>
    familyOf('StableDiffusionPipeline', { frames: 3, ...flags } as GenerateFlags);
  expect(videos({ image })).toThrow(/image and frames exclude each other/);
  expect(videos({ previewVae: 'taesd' })).toThrow(/previewVae decodes previews, which there are none of/);
});

test('every family has a pipeline, which takes its options', () => {
  for (const family of ALL) {
    const className = classOf(family);
    expect(findPipeline(className)?.family.className).toBe(className);
  }
});

test('what makes the runs is the loaded pipeline itself, or another one over its models', async () => {
  await using pipe = await loadTiny();
  expect(pipelineOf('text2img', pipe)).toBe(pipe);
  await using zero = pipelineOf('zero', pipe);
  expect(zero).toBeInstanceOf(TextToVideoZeroPipeline);
  expect(zero.unet).toBe(pipe.unet);
  // A model of videos begins with a picture, and needs no other pipeline for it.
  const video = { constructor: findPipeline('StableVideoDiffusionPipeline') } as unknown as DiffusionPipeline;
  expect(pipelineOf('svd', video)).toBe(video);
});
