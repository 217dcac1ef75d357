import { DeepCacheError } from '../../../lib/errors.js';
import { checkGuiderOptions, GUIDER_NAMES, GUIDERS, guide } from '../../../lib/guidance/guiders.js';
import { native } from '../../../lib/native/binding.js';
import { finish } from '../../../lib/native/device.js';
import { guidanceEmbedding } from '../../../lib/pipelines/conditioning/guidance-embedding.js';
import { type Guidance, runTable } from '../../../lib/schedulers/index.js';
import { concat } from '../../../lib/tensor.js';
import type { Findings } from '../findings.js';
import type { GoldenCase } from '../goldens.js';
import type { Models } from '../models.js';
import { camelCase } from './pipeline-options.js';

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

/** FreeU's filter of skips, or all of an up layer: in the first two up blocks, as the U-Net has it. */
export async function checkFreeU(golden: GoldenCase, findings: Findings, models: Models): Promise<void> {
  const alone = golden.has('x');
  const skip = golden.tensor(alone ? 'x' : 'res_hidden_states');
  const hidden = alone ? skip : golden.tensor('hidden_states');
  const block = (golden.field<number>('resolution_idx') ?? 0) + 1;
  const factor = (name: string) => (block > 2 ? 1 : Number(golden.field(`${name}${block}`)));
  const [batch = 1, , height = 1, width = 1] = skip.shape;
  const values = hidden.data as Float32Array;
  const per = values.length / batch;
  // The reference scales in place, before its input is stored.
  const x = alone ? values : values.map((value, i) => (i % per < per / 2 ? value / factor('b') : value));
  const given = { batch, height, width, x, skip: skip.data as Float32Array };
  const own = alone
    ? { b: 1, s: Number(golden.field('scale')), threshold: Number(golden.field('threshold')) }
    : { b: factor('b'), s: factor('s'), threshold: 1 };
  const out = await finish(() => native().freeU(models.backend(), { ...given, ...own }));
  // Sample by sample, both one behind the other.
  const each = out.length / batch;
  const part = (from: number, to: number) =>
    concat(Array.from({ length: batch }, (_, i) => out.subarray(i * each + from, i * each + to)));
  if (!alone) findings.tensor('hidden_out', part(0, per));
  findings.tensor(alone ? 'out' : 'res_out', part(per, each));
}

/** The blur of self-attention guidance, everywhere. */
export async function checkBlur(golden: GoldenCase, findings: Findings, models: Models): Promise<void> {
  findings.equal('kernel_size', golden.field('kernel_size'), 9);
  findings.equal('sigma', golden.field('sigma'), 1);
  const [batch = 1, , height = 1, width = 1] = golden.tensor('x').shape;
  const x = golden.tensor('x').data as Float32Array;
  const request = {
    batch,
    height,
    width,
    x,
    x2: new Float32Array(x.length),
    mass: { height: 1, width: 1, values: new Float32Array(batch).fill(2) },
    byX: 1,
    byX2: 0,
    signal: 1,
  };
  findings.tensor('out', await finish(() => native().maskedBlur(models.backend(), request)));
}

/** Guiders of diffusers that have a third output, and what their fields begin with. */
const PERTURBED: Readonly<Record<string, string>> = {
  PerturbedAttentionGuidance: 'perturbed_guidance',
  SkipLayerGuidance: 'skip_layer_guidance',
  SmoothedEnergyGuidance: 'seg_guidance',
};

/** A guider's output, step by step, as rows of guidance over two or three outputs. */
export function checkGuider(golden: GoldenCase, findings: Findings): void {
  const steps = golden.field<number>('num_inference_steps') as number;
  const { shape } = golden.tensor('pred_cond');
  const batch = shape[1] as number;
  const part = (role: string, step: number) => {
    const values = golden.tensor(role).data as Float32Array;
    return values.subarray((step * values.length) / steps, ((step + 1) * values.length) / steps);
  };
  const calls = Array.from({ length: steps }, (_, step) => guiderCall(golden, step, steps));
  const widest = Math.max(2, ...calls.map(({ outputs }) => outputs.length));
  // What a row does not combine may be anything.
  const given = (step: number) =>
    concat(Array.from({ length: widest }, (_, i) => part(calls[step]?.outputs[i] ?? 'pred_cond', step)));
  const outs: Float32Array[] = [];
  const rows = calls.map(({ guidance }) => ({
    program: 0,
    timestep: 0,
    inputScale: 1,
    guidance,
    x0: { x: 0, m: 1 },
    assign: [{ to: 'x' as const, terms: [{ slot: 'm' as const, coefficient: 1 }] }],
  }));
  runTable(
    { programs: [{ kind: 'full' }], rows },
    {
      x: new Float32Array(part('pred_cond', 0).length),
      batch,
      outputs: widest as 2 | 3,
      model: ({ row }) => given(row),
      onRow: ({ m }) => outs.push(m.slice()),
    },
  );
  findings.tensor('out', concat(outs));
  findings.equal(
    'num_conditions',
    calls.map(({ outputs }) => outputs.length),
    golden.field('num_conditions'),
  );
}

/** What a guider combines at a step, in the order of our outputs, and how. */
function guiderCall(golden: GoldenCase, step: number, steps: number) {
  const className = String(golden.field('guider'));
  const config = golden.field<Readonly<Record<string, number | boolean>>>('config') ?? {};
  const perturbed = PERTURBED[className];
  const name = GUIDER_NAMES.find((known) => GUIDERS[known].className === className) ?? 'cfg';
  if (!perturbed && GUIDERS[name].className !== className) {
    throw new DeepCacheError('ERR_DEEPCACHE_UNSUPPORTED', `${className} is not implemented`);
  }
  const { guidance_scale: scale = 7.5, guidance_rescale: rescale = 0, ...rest } = config;
  const own = Object.entries(rest).filter(([field]) => !perturbed || !field.startsWith(perturbed));
  const options = Object.fromEntries(own.map(([field, value]) => [camelCase(field), value]));
  checkGuiderOptions('config', options);
  const call = guide(name, options, Number(scale), step, steps);
  const guidance = (values: Omit<Guidance, 'rescale'>): Guidance => {
    const average = values.rule?.momentum === undefined ? {} : { average: 's0' as const };
    return {
      ...values,
      ...(values.rule && { rule: { ...values.rule, ...average } }),
      rescale: Number(rescale),
    };
  };
  const field = (part: string) => Number(config[`${perturbed}_${part}`]);
  const place = (part: string) => Math.trunc(field(part) * steps);
  const by = perturbed && step > place('start') && step < place('stop') ? field('scale') : 0;
  if (call && by)
    return {
      guidance: guidance({ scale: call.scale + by, third: -by }),
      outputs: ['pred_uncond', 'pred_cond', 'pred_cond_skip'],
    };
  if (call) return { guidance: guidance(call), outputs: ['pred_uncond', 'pred_cond'] };
  if (by) return { guidance: guidance({ scale: -by }), outputs: ['pred_cond', 'pred_cond_skip'] };
  return { guidance: guidance({ scale: 0 }), outputs: ['pred_cond'] };
}
