import { type InterpolationMode, interpolate } from '../../../lib/images/interpolate.js';
import type { GenerateOptions, Tensor } from '../../../lib/index.js';
import { NoiseSource } from '../../../lib/pipelines/inputs/noise.js';
import { toSeed } from '../../../lib/pipelines/inputs/seeds.js';
import { inSlices } from '../../../lib/slices.js';
import { concat, countOf } from '../../../lib/tensor.js';
import type { Tolerance } from '../compare.js';
import type { Findings } from '../findings.js';
import type { GoldenCase } from '../goldens.js';
import type { Models } from '../models.js';
import { generateOptions, helperCache } from './pipeline-options.js';
import { compareRun, scheduleOf } from './pipeline-run.js';

interface Upscale {
  mode: InterpolationMode;
  antialias: boolean;
  scale: number;
  size: readonly [number, number];
}

/** What a pass did, call by call. */
interface Pass {
  timesteps: number[];
  full: boolean[];
  latents: Float32Array[];
}

const TIMESTEPS: Tolerance = { atol: 1e-3, rtol: 1e-5 };
const NOISE: Tolerance = { atol: 4e-6, rtol: 0 };

/** Text to image, its latents enlarged, and image to image from them: one call with the option hiresFix here. */
export async function checkHiresFix(golden: GoldenCase, findings: Findings, models: Models): Promise<void> {
  const isXL = /sdxl/.test(golden.field<string>('model') ?? '');
  const name = isXL ? 'StableDiffusionXLPipeline' : 'StableDiffusionPipeline';
  const pipe = await models.pipeline(golden.modelFolder, name);
  const { mode, antialias, scale, size } = golden.field<Upscale>('upscale') as Upscale;
  const options = {
    ...generateOptions(golden),
    cache: helperCache(golden),
    hiresFix: {
      upscaler: mode,
      antialias,
      scale,
      strength: golden.field<number>('strength') as number,
      seed: golden.field<number>('seed2') as number,
    },
  } as GenerateOptions;
  const passes: Pass[] = [];
  const { tensor } = await pipe.generate({
    ...options,
    output: 'latent',
    latentsEvery: 1,
    onStep: ({ call, timestep, full, latents }) => {
      if (call === 1) passes.push({ timesteps: [], full: [], latents: [] });
      const pass = passes.at(-1) as Pass;
      pass.timesteps.push(timestep);
      pass.full.push(full);
      if (latents) pass.latents.push(latents.data);
    },
  });
  findings.equal('passes', passes.length, 2);
  const [first, second] = passes as [Pass, Pass];
  await compareDraws(golden, findings, 'seed', ['latents_noise', 'noise_draws_pass1']);
  findings.tensor('latents_pass1', concat(first.latents));
  findings.tensor('timesteps_pass1', first.timesteps, TIMESTEPS);
  findings.equal('full_step_pass1', first.full, golden.field<boolean[]>('full_step_pass1'));
  const [height, width] = size;
  const shape = golden.tensor('latents_noise').shape;
  const last = { data: first.latents.at(-1) as Float32Array, shape };
  findings.tensor('upscaled', (await inSlices(interpolate(last, { width, height }, mode, antialias))).data);
  await compareDraws(golden, findings, 'seed2', ['noise_draws']);
  const schedule = scheduleOf(pipe, options);
  compareRun(golden, findings, { ...second, final: tensor as Tensor, schedule });
}

/** The random numbers of a pass, in the order in which they were drawn. */
async function compareDraws(
  golden: GoldenCase,
  findings: Findings,
  seed: string,
  roles: readonly string[],
): Promise<void> {
  const source = new NoiseSource([toSeed(seed, golden.field<number>(seed))], 1);
  for (const role of roles.filter((one) => golden.has(one))) {
    const { shape } = golden.tensor(role);
    const draws = shape.length > 4 ? (shape[0] as number) : 1;
    const drawn: Float32Array[] = [];
    for (let i = 0; i < draws; i++) drawn.push(await source.draw(countOf(shape.slice(-3))));
    findings.tensor(role, concat(drawn), NOISE);
  }
}
