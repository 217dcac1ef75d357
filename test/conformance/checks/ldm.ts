import { LatentPolicy } from '../../../lib/deepcache/index.js';
import { LatentDDIMScheduler } from '../../../lib/entries/schedulers.js';
import { ClassConditionalLDMPipeline } from '../../../lib/index.js';
import { finish } from '../../../lib/native/device.js';
import type { Findings } from '../findings.js';
import type { GoldenCase } from '../goldens.js';
import type { Models } from '../models.js';
import { compareActivations, inTorchOrder } from './activations.js';
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

/** DeepCache's latent diffusion code has this branch only. */
const BRANCH = 0;
/** Everything but the norm at the end, which is fused with what follows. */
const MODULES = /^(?!out\.0$)/;

const open = (golden: GoldenCase, models: Models) => models.original<WithNoise>(originalFolder(golden));

export async function checkClassEmbedder(golden: GoldenCase, findings: Findings, models: Models) {
  const { classes } = parts(await open(golden, models));
  const labels = golden.field<number[]>('classes') ?? [];
  findings.equal('uncond_class', classes.unconditional, golden.field('uncond_class'));
  findings.tensor('cond', classes.embed(labels));
  findings.tensor('uncond', classes.embed(labels.map(() => classes.unconditional)));
}

export async function checkLdmForward(golden: GoldenCase, findings: Findings, models: Models) {
  const { unet } = await open(golden, models);
  const request = { ...samples(golden, 'x'), ...contextOf(golden), taps: true };
  const timesteps = golden.field<number[]>('timesteps') ?? [];
  const { out, taps } = await finish(() => unet.native.forward({ ...request, timesteps }));
  findings.tensor('eps', out);
  const { levels, layersPerBlock } = unet.native;
  const labels = new Set(taps?.map(({ name }) => name));
  const rename = (module: string) => diffusersModule(module, levels, layersPerBlock[0] as number, labels);
  compareActivations(golden, findings, taps, MODULES, rename);
}

export async function checkLdmRetrieve(golden: GoldenCase, findings: Findings, models: Models) {
  const { unet } = await open(golden, models);
  const before = golden.siblings.find(({ kind }) => kind === 'ldm/forward') as GoldenCase;
  const full = { ...samples(before, 'x'), ...contextOf(golden), features: [BRANCH] };
  const [early, late] = ['t_full', 't_shallow'].map((name) => golden.field<number[]>(name) ?? []);
  await finish(() => unet.native.forward({ ...full, timesteps: early as number[] }));
  findings.tensor('cached_feature', unet.native.feature(BRANCH).data);
  const shallow = { ...samples(golden, 'x_shallow'), ...contextOf(golden), retrieve: BRANCH };
  const { out } = await finish(() => unet.native.forward({ ...shallow, timesteps: late as number[] }));
  findings.tensor('eps_shallow', out);
}

export async function checkVqDecode(golden: GoldenCase, findings: Findings, models: Models) {
  const { vae } = await open(golden, models);
  const { sample: data, ...size } = samples(golden, 'z');
  const quantize = golden.field<boolean>('force_not_quantize') !== true;
  const { data: image, taps } = await finish(() =>
    vae.native.decode({ data, ...size, quantize, taps: true }),
  );
  findings.tensor('image', image);
  if (golden.has('image_u8')) findings.tensor('image_u8', bytes(image));
  if (!golden.has('quantized')) return;
  const quantized = taps?.find(({ name }) => name === 'quantize.embedding');
  if (!quantized) return findings.fact('quantized', false, 'no such activation');
  findings.tensor('quantized', inTorchOrder(quantized, golden.tensor('quantized').shape));
  // The rows are the codebook's own: equal codes have equal rows, different codes different ones.
  const rows = new Map<string, number>();
  const indices = golden.tensor('indices').data;
  const same = Array.from(indices, Number).every((index, i) => {
    const row = quantized.data.subarray(3 * i, 3 * i + 3).join();
    const known = rows.get(row) ?? index;
    rows.set(row, known);
    return known === index;
  });
  findings.fact('indices', same && rows.size === new Set(indices as Int32Array).size, `${rows.size} codes`);
}

export async function checkLdmSample(golden: GoldenCase, findings: Findings, models: Models) {
  const shared = await open(golden, models);
  const pipe = WithNoise.from(shared);
  pipe.draws = noiseOf(golden);
  const scale = golden.field<number>('scale') as number;
  try {
    const interval = golden.field<number>('interval');
    const nonuniform = golden.field<boolean>('nonuniform') && {
      schedule: 'nonuniform',
      power: golden.field('pow'),
    };
    const classLabels = golden.field<number[]>('classes') as number[];
    const run = await recordSampling(golden, pipe, {
      classLabels,
      steps: golden.field('S'),
      eta: golden.field('eta'),
      guidanceScale: scale,
      cache: interval === undefined ? false : { interval, branch: BRANCH, ...nonuniform },
    });
    compareSampling(golden, findings, run, run.states);
    findings.equal('timesteps', run.timesteps, golden.field('timesteps_descending'));

    const { classes } = parts(shared);
    const none = scale === 1 ? [] : classLabels.map(() => classes.unconditional);
    const context = classes.embed([...none, ...classLabels]);
    findings.tensor('cond', classes.embed(classLabels), { max_abs: 0 });
    await compareOutputs(
      golden,
      findings,
      shared.unet.native,
      {
        run,
        states: [golden.tensor('x_T').data as Float32Array, ...run.states],
        halves: scale === 1 ? 1 : 2,
        conditions: { context, contextLength: 1 },
      },
      interval === undefined ? undefined : BRANCH,
    );
    const { sample: _, ...size } = samples(golden, 'x_T');
    const decoded = await finish(() => shared.vae.native.decode({ ...size, data: run.final }));
    findings.tensor('image', decoded.data);
    findings.tensor('image_u8', bytes(decoded.data));
    compareCoefficients(golden, findings, shared.scheduler as LatentDDIMScheduler);
  } finally {
    await pipe.dispose();
  }
}

/** alphas, those after each step, and sigmas, from the coefficients of the rows. */
function compareCoefficients(golden: GoldenCase, findings: Findings, scheduler: LatentDDIMScheduler) {
  const { rows } = scheduler.compile({
    steps: golden.field<number>('S') as number,
    eta: golden.field<number>('eta') as number,
  });
  const coefficient = (row: (typeof rows)[number], name: string) =>
    Number(row.assign[0]?.terms.find(({ slot }) => slot === name)?.coefficient ?? 0);
  const ascending = [...rows].reverse();
  findings.tensor(
    'ddim_alphas',
    ascending.map((row) => (row.x0.x as number) ** -2),
  );
  findings.tensor(
    'ddim_alphas_prev',
    ascending.map((row) => coefficient(row, 'x0') ** 2),
  );
  findings.tensor(
    'ddim_sigmas',
    ascending.map((row) => coefficient(row, 'noise')),
  );
}

export function checkLdmTable(_: GoldenCase, findings: Findings) {
  const { betas, signal } = new SignalOf();
  findings.tensor('betas', betas);
  findings.tensor('alphas_cumprod', signal);
  findings.tensor('alphas_cumprod_prev', [1, ...signal.slice(0, -1)]);
}

export function checkLdmNonuniform(golden: GoldenCase, findings: Findings) {
  const [total, interval, power] = ['total', 'interval', 'pow'].map((name) => golden.field<number>(name));
  const timesteps = Array.from({ length: total as number }, (_, i) => i);
  const policy = new LatentPolicy({
    interval: interval as number,
    power: power as number,
    schedule: 'nonuniform',
  });
  const { calls } = policy.layout({ timesteps, schedulerTimesteps: timesteps, branches: 1 });
  findings.equal(
    'slow_steps',
    timesteps.filter((i) => calls[i]?.kind === 'full'),
    golden.field('slow_steps'),
  );
}

class WithNoise extends ClassConditionalLDMPipeline {
  draws: GivenDraws = { values: new Float32Array(0), size: 0 };

  protected override noiseSource(seeds: readonly bigint[], batch: number) {
    return new GivenNoise(seeds, batch, this.draws);
  }

  get parts() {
    return this.components;
  }
}

/** The share of signal that the scheduler computes with. */
class SignalOf extends LatentDDIMScheduler {
  get signal(): number[] {
    return Array.from({ length: this.trainSteps }, (_, i) => this.alphaAt(i));
  }
}

function parts(pipe: ClassConditionalLDMPipeline) {
  return (pipe as unknown as { components: WithNoise['parts'] }).components;
}

function contextOf(golden: GoldenCase) {
  const { data, shape } = golden.tensor('context');
  return { context: data as Float32Array, contextLength: shape[1] as number };
}

/** Latent diffusion's own rounding. */
function bytes(image: Float32Array): Uint8Array {
  return Uint8Array.from(image, (value) => Math.floor(Math.min(1, Math.max(0, (value + 1) / 2)) * 255 + 0.5));
}

/** openaimodel's name of a module -> diffusers', of the last thing in the block. */
function diffusersModule(
  module: string,
  levels: number,
  layers: number,
  labels: ReadonlySet<string>,
): string {
  const [head, number] = module.split('.');
  if (module === 'time_embed') return 'time_embedding';
  if (head === 'middle_block') return 'mid_block';
  if (module === 'input_blocks.0') return 'conv_in';
  if (head !== 'input_blocks' && head !== 'output_blocks') return module;
  const down = head === 'input_blocks';
  const unit = Number(number) - (down ? 1 : 0);
  const block = Math.floor(unit / (layers + 1));
  const layer = unit % (layers + 1);
  if (down) return `down_blocks.${block}.res${layer}`;
  if (layer === layers && block < levels - 1) return `up_blocks.${block}.upsamplers.0`;
  const attention = `up_blocks.${block}.attentions.${layer}`;
  return labels.has(attention) ? attention : `up_blocks.${block}.resnets.${layer}`;
}
