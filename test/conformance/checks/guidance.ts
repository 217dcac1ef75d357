import { DeepCacheError } from '../../../lib/errors.js';
import { guidanceEmbedding } from '../../../lib/pipelines/conditioning/guidance-embedding.js';
import { type Guidance, runTable } from '../../../lib/schedulers/index.js';
import { concat } from '../../../lib/tensor.js';
import type { Findings } from '../findings.js';
import type { GoldenCase } from '../goldens.js';

/** A row of guidance that takes its output as it is, the one without a prompt, and rescales it. */
export function checkGuidanceRescale(golden: GoldenCase, findings: Findings): void {
  const [guided, text] = ['noise_cfg', 'noise_pred_text'].map((role) =>
    Array.from(golden.tensor(role).data as Float32Array),
  ) as [number[], number[]];
  const rescale = golden.field<number>('guidance_rescale') as number;
  const [batch = 1] = golden.tensor('out').shape;
  const row = {
    program: 0,
    timestep: 0,
    inputScale: 1,
    guidance: { scale: 0, rescale },
    x0: { x: 0, m: 1 },
    assign: [{ to: 'x' as const, terms: [{ slot: 'm' as const, coefficient: 1 }] }],
  };
  const out = runTable(
    { programs: [{ kind: 'full' }], rows: [row] },
    { x: new Float32Array(guided.length), batch, model: () => [...guided, ...text] },
  );
  findings.tensor('out', out);
}

/** The embedding of guidance scales that U-Nets take as an input; the golden has what exceeds 1. */
export function checkGuidanceEmbedding(golden: GoldenCase, findings: Findings): void {
  const width = golden.field<number>('embedding_dim') as number;
  const scales = Array.from(golden.tensor('w').data as Float32Array, (excess) => excess + 1);
  findings.tensor(
    'out',
    scales.flatMap((scale) => [...guidanceEmbedding(scale, width)]),
  );
}

/** Guiders of diffusers whose output is a sum of the model's outputs with factors of the step. */
const PERTURBED: Readonly<Record<string, string | undefined>> = {
  ClassifierFreeGuidance: undefined,
  PerturbedAttentionGuidance: 'perturbed_guidance',
  SkipLayerGuidance: 'skip_layer_guidance',
  SmoothedEnergyGuidance: 'seg_guidance',
};

/** A guider's output, step by step, as rows of guidance over two or three outputs. */
export function checkGuider(golden: GoldenCase, findings: Findings): void {
  const name = String(golden.field('guider'));
  if (!Object.hasOwn(PERTURBED, name)) {
    throw new DeepCacheError('ERR_DEEPCACHE_UNSUPPORTED', `${name} is not implemented`);
  }
  const steps = golden.field<number>('num_inference_steps') as number;
  const { shape } = golden.tensor('pred_cond');
  const batch = shape[1] as number;
  const part = (role: string, step: number) => {
    const values = golden.tensor(role).data as Float32Array;
    return values.subarray((step * values.length) / steps, ((step + 1) * values.length) / steps);
  };
  const outs: Float32Array[] = [];
  const conditions: number[] = [];
  for (let step = 0; step < steps; step++) {
    const { guidance, outputs } = guiderRow(golden, step, steps, PERTURBED[name]);
    conditions.push(outputs.length);
    const given = [outputs, ['pred_cond'], ['pred_cond']].flat().slice(0, Math.max(2, outputs.length));
    const row = {
      program: 0,
      timestep: 0,
      inputScale: 1,
      guidance,
      x0: { x: 0, m: 1 },
      assign: [{ to: 'x' as const, terms: [{ slot: 'm' as const, coefficient: 1 }] }],
    };
    outs.push(
      runTable(
        { programs: [{ kind: 'full' }], rows: [row] },
        {
          x: new Float32Array(part('pred_cond', step).length),
          batch,
          outputs: given.length as 2 | 3,
          model: () => concat(given.map((role) => part(role, step))),
        },
      ),
    );
  }
  findings.tensor('out', concat(outs));
  findings.equal('num_conditions', conditions, golden.field('num_conditions'));
}

/** What a guider combines at a step, in the order of our outputs, and how. */
function guiderRow(golden: GoldenCase, step: number, steps: number, perturbed: string | undefined) {
  const config = golden.field<Record<string, number | boolean | undefined>>('config') ?? {};
  const field = (name: string, fallback: number) => Number(config[name] ?? fallback);
  const place = (name: string, fallback: number) => Math.trunc(field(name, fallback) * steps);
  const scale = field('guidance_scale', 7.5);
  // The original formulation starts from the conditional output: its scale is one more.
  const strength = config.use_original_formulation ? scale + 1 : scale;
  const off = config.use_original_formulation ? 0 : 1;
  const guided = step >= place('start', 0) && step < place('stop', 1) && scale !== off;
  const by = field(`${perturbed}_scale`, 0);
  const perturbs =
    perturbed !== undefined &&
    by !== 0 &&
    step > place(`${perturbed}_start`, 0) &&
    step < place(`${perturbed}_stop`, 1);
  const rescale = field('guidance_rescale', 0);
  const guidance = (values: Omit<Guidance, 'rescale'>): Guidance => ({ ...values, rescale });
  if (guided && perturbs)
    return {
      guidance: guidance({ scale: strength + by, third: -by }),
      outputs: ['pred_uncond', 'pred_cond', 'pred_cond_skip'],
    };
  if (guided) return { guidance: guidance({ scale: strength }), outputs: ['pred_uncond', 'pred_cond'] };
  if (perturbs) return { guidance: guidance({ scale: -by }), outputs: ['pred_cond', 'pred_cond_skip'] };
  return { guidance: guidance({ scale: 1 }), outputs: ['pred_cond'] };
}
