import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { build } from 'esbuild';
import * as evaluate from '../lib/entries/evaluate.js';
import * as schedulers from '../lib/entries/schedulers.js';
import * as main from '../lib/index.js';

/** What is the laboratory's, the server's, or the command line's. */
const LABORATORY =
  /^lib\/((ai|cli|mcp|compare|entries|judge|metrics|quality|reproduce|server|tune)\/|configs\/paper\.ts)/;

test('deepcache has these names', () => {
  expect(Object.keys(main).sort()).toEqual(
    [
      ...[
        'DiffusionPipeline',
        'StableDiffusionPipeline',
        'StableDiffusionImg2ImgPipeline',
        'AnimateDiffPipeline',
      ],
      ...['StableDiffusionInpaintPipeline', 'StableDiffusionXLPipeline', 'StableDiffusionXLImg2ImgPipeline'],
      ...['StableDiffusionXLInpaintPipeline', 'LatentConsistencyModelPipeline', 'DDPMPipeline'],
      ...['ClassConditionalLDMPipeline', 'StableVideoDiffusionPipeline', 'TextToVideoZeroPipeline'],
      ...['StableDiffusionControlNetPipeline', 'StableDiffusionControlNetImg2ImgPipeline'],
      ...['StableDiffusionControlNetInpaintPipeline', 'StableDiffusionXLControlNetPipeline'],
      ...['StableDiffusionXLControlNetImg2ImgPipeline', 'StableDiffusionXLControlNetInpaintPipeline'],
      ...['ControlPipeline', 'LoraPipeline', 'Img2Img', 'Inpaint', 'Scheduler', 'CLIPTokenizer'],
      ...['pipelineForInputs', 'Image', 'saveVideo', 'devices', 'DeepCacheError', 'ERROR_CODES'],
      ...['Upscaler', 'readSettings', 'LatentConsistencyModelImg2ImgPipeline', 'preprocess'],
      ...['StableDiffusionAdapterPipeline', 'StableDiffusionXLAdapterPipeline', 'T2IAdapterPipeline'],
      ...[
        'StableDiffusionInstructPix2PixPipeline',
        'StableDiffusionSAGPipeline',
        'StableDiffusionDepth2ImgPipeline',
        'StableDiffusionUpscalePipeline',
        'StableDiffusionXLControlNetUnionPipeline',
      ],
      ...[
        'StableDiffusionXLControlNetUnionImg2ImgPipeline',
        'StableDiffusionXLControlNetUnionInpaintPipeline',
      ],
      ...['', 'Img2Img', 'Inpaint'].flatMap((kind) => [
        `StableDiffusionPAG${kind}Pipeline`,
        `StableDiffusionXLPAG${kind}Pipeline`,
      ]),
    ].sort(),
  );
});

test('the other entries have none of them', () => {
  expect(schedulers.Scheduler).toBe(main.Scheduler);
  for (const name of Object.keys(main).filter((name) => name !== 'Scheduler')) {
    expect(schedulers).not.toHaveProperty(name);
    expect(evaluate).not.toHaveProperty(name);
  }
  expect(schedulers).toMatchObject({ runTable: expect.anything(), DDIMScheduler: expect.anything() });
  const names = ['compare', 'measureQuality', 'tune', 'Judge', 'reproduce', 'psnr', 'ssim'];
  expect(evaluate).toMatchObject(Object.fromEntries(names.map((name) => [name, expect.any(Function)])));
});

test('deepcache loads no module of the laboratory, and schedulers nothing native', async () => {
  const main = await modulesOf('lib/index.ts');
  expect(main).toContain('lib/pipelines/diffusion-pipeline.ts');
  expect(main.filter((path) => LABORATORY.test(path))).toEqual([]);
  const schedulers = await modulesOf('lib/entries/schedulers.ts');
  expect(schedulers).toContain('lib/schedulers/index.ts');
  expect(schedulers.filter((path) => path.startsWith('lib/native/'))).toEqual([]);
});

/** All modules that importing one may load. */
async function modulesOf(entry: string): Promise<string[]> {
  const { metafile } = await build({
    ...{ entryPoints: [entry], bundle: true, write: false, metafile: true, logLevel: 'silent' },
    ...{ platform: 'node', format: 'esm', packages: 'external' },
  });
  return Object.keys(metafile.inputs);
}

describe('package.json', () => {
  const { exports } = JSON.parse(readFileSync('package.json', 'utf8')) as {
    exports: Record<string, { types: string; default: string }>;
  };

  test.each([
    ['.', 'lib/index.ts'],
    ['./schedulers', 'lib/entries/schedulers.ts'],
    ['./evaluate', 'lib/entries/evaluate.ts'],
    ['./server', 'lib/entries/server.ts'],
    ['./ai', 'lib/entries/ai.ts'],
  ])('%s is %s', (name, source) => {
    const built = `./dist/${source.replace(/\.ts$/, '')}`;
    expect(exports[name]).toEqual({ types: `${built}.d.ts`, default: `${built}.js` });
    expect(readFileSync(source, 'utf8')).toMatch(/^\/\*\*\n \* `deepcache/);
  });
});
