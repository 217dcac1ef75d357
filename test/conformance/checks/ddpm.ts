import { type BranchLayout, branchFromDdpm } from '../../../lib/deepcache/index.js';
import { sampleFromQuadCenter } from '../../../lib/deepcache/nonuniform.js';
import { OriginalDDIMScheduler } from '../../../lib/entries/schedulers.js';
import { DeepCacheError } from '../../../lib/errors.js';
import { DDPMPipeline } from '../../../lib/index.js';
import { finish } from '../../../lib/native/device.js';
import type { Findings } from '../findings.js';
import type { GoldenCase } from '../goldens.js';
import type { Models } from '../models.js';
import { compareActivations } from './activations.js';
import {
  compareOutputs,
  compareSampling,
  type GivenDraws,
  GivenNoise,
  noiseOf,
  originalFolder,
  recordSampling,
  samples,
} from './sampling.js';

/** Everything but the norm at the end, which is fused with what follows. */
const MODULES = /^(?!norm_out$)/;

const open = (golden: GoldenCase, models: Models) => models.original<DDPMPipeline>(originalFolder(golden));

export async function checkDdpmForward(golden: GoldenCase, findings: Findings, models: Models) {
  const { unet } = await open(golden, models);
  const timesteps = golden.field<number[]>('timesteps') ?? [];
  const { out, taps } = await finish(() =>
    unet.native.forward({ ...samples(golden, 'x'), timesteps, taps: true }),
  );
  findings.tensor('eps', out);
  const levels = unet.native.levels;
  compareActivations(golden, findings, taps, MODULES, (module) => diffusersModule(module, levels));
}

export async function checkDdpmRetrieve(golden: GoldenCase, findings: Findings, models: Models) {
  const { unet } = await open(golden, models);
  const branch = branchOf(golden, unet.native);
  const [full, shallow] = ['t_full', 't_shallow'].map((name) => golden.field<number[]>(name) ?? []);
  await finish(() =>
    unet.native.forward({ ...samples(golden, 'x_full'), timesteps: full as number[], features: [branch] }),
  );
  findings.tensor('cached_feature', unet.native.feature(branch).data);
  const retrieve = { ...samples(golden, 'x_shallow'), timesteps: shallow as number[], retrieve: branch };
  findings.tensor('eps_shallow', (await finish(() => unet.native.forward(retrieve))).out);
  // The program's last number leaves it without a cache.
  for (const number of golden.sourceField<Record<string, number[]>>('invalid_branches')?.[
    String(golden.field('model'))
  ] ?? []) {
    findings.fact(`branch ${number}`, refuses(number, unet.native), 'is refused');
  }
}

export async function checkDdpmSample(golden: GoldenCase, findings: Findings, models: Models) {
  const shared = await open(golden, models);
  const pipe = WithNoise.from(shared);
  pipe.draws = noiseOf(golden);
  try {
    const sampleType = golden.kind.endsWith('sample_ddpm') ? 'ddpm_noisy' : 'generalized';
    const interval = golden.field<number>('interval');
    const branch = interval === undefined ? undefined : branchOf(golden, shared.unet.native);
    const nonuniform = golden.field<boolean>('non_uniform') && {
      schedule: 'nonuniform',
      center: golden.field('center'),
      power: golden.field('pow'),
    };
    const run = await recordSampling(golden, pipe, {
      steps: golden.field('timesteps'),
      eta: golden.field('eta'),
      batchSize: golden.tensor('x_T').shape[0],
      scheduler: {
        skip_type: golden.field('skip_type'),
        sample_type: sampleType,
        _class_name: 'OriginalDDIM',
      },
      cache: interval === undefined ? false : { interval, branch, ...nonuniform },
    });
    const states = [golden.tensor('x_T').data as Float32Array, ...run.states];
    compareSampling(golden, findings, run, states);
    findings.equal('timesteps', [...run.timesteps].reverse(), golden.field('seq'));
    // The last step ends at x0.
    findings.tensor('x0_last', run.final);
    findings.tensor(
      'image01',
      run.final.map((value) => Math.min(1, Math.max(0, (value + 1) / 2))),
    );
    const { native } = shared.unet;
    await compareOutputs(golden, findings, native, { run, states, halves: 1, conditions: {} }, branch);
  } finally {
    await pipe.dispose();
  }
}

export function checkDdpmTable(_: GoldenCase, findings: Findings) {
  const { betas, alphasCumprod } = new OriginalDDIMScheduler();
  findings.tensor('betas', betas);
  findings.tensor('alpha_cumprod_with_leading_one', [1, ...alphasCumprod]);
}

export function checkDdpmTimesteps(golden: GoldenCase, findings: Findings) {
  const scheduler = new OriginalDDIMScheduler({ skip_type: golden.field('skip_type') });
  const { timesteps } = scheduler.compile({ steps: golden.field<number>('timesteps') as number });
  findings.equal('seq', [...timesteps].reverse(), golden.field('seq'));
}

export function checkDdpmNonuniform(golden: GoldenCase, findings: Findings) {
  const number = (name: string) => golden.field<number>(name) as number;
  const count = number('n_slow');
  try {
    const list = sampleFromQuadCenter(number('total'), count, number('center'), number('pow'));
    findings.equal('steps', list.indices, golden.field('steps'));
    const used = number('final_pow');
    findings.fact('final_pow', Math.abs(list.power - used) < 1e-9, `${list.power}, expected ${used}`);
  } catch (error) {
    if (!(error instanceof DeepCacheError)) throw error;
    findings.fact('error', golden.field('error') !== undefined, error.message);
  }
}

class WithNoise extends DDPMPipeline {
  draws: GivenDraws = { values: new Float32Array(0), size: 0 };

  protected override noiseSource(seeds: readonly bigint[], batch: number) {
    return new GivenNoise(seeds, batch, this.draws);
  }
}

function branchOf(golden: GoldenCase, layout: BranchLayout): number {
  return branchFromDdpm(golden.field<number>('branch') as number, layout);
}

function refuses(branch: number, layout: BranchLayout): boolean {
  try {
    branchFromDdpm(branch, layout);
    return false;
  } catch (error) {
    return error instanceof DeepCacheError && error.code === 'ERR_DEEPCACHE_INVALID_ARGUMENT';
  }
}

/** DDPM's name of a module -> diffusers'. */
function diffusersModule(module: string, levels: number): string {
  const [head = '', level = '', kind = '', index = ''] = module.split('.');
  if (module === 'temb.dense.1') return 'time_embedding';
  if (head === 'mid') {
    return level === 'attn_1'
      ? 'mid_block.attentions.0'
      : `mid_block.resnets.${Number(level.replace('block_', '')) - 1}`;
  }
  if (head !== 'down' && head !== 'up') return module;
  const block = head === 'down' ? `down_blocks.${level}` : `up_blocks.${levels - 1 - Number(level)}`;
  if (kind === 'block') return `${block}.resnets.${index}`;
  if (kind === 'attn') return `${block}.attentions.${index}`;
  return `${block}.${kind}rs.0`; // downsample, upsample
}
