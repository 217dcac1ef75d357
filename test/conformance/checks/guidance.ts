import { guidanceEmbedding } from '../../../lib/pipelines/conditioning/guidance-embedding.js';
import { runTable } from '../../../lib/schedulers/index.js';
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
