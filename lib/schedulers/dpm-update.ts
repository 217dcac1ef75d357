import type { RowBuilder } from './compiled.js';
import { combine, type Linear, ring, slot } from './linear.js';
import type { Assignment, StepRow } from './table.js';

/** DPM-Solver and DPM-Solver++ (Lu et al. 2022), as an ODE or as an SDE: the ++ kinds integrate x0, the others the noise. */
export const DPM_ALGORITHMS = ['dpmsolver', 'dpmsolver++', 'sde-dpmsolver', 'sde-dpmsolver++'] as const;
export type DpmAlgorithm = (typeof DPM_ALGORITHMS)[number];

/** Names of other solvers' types, which arrive through fromConfig and mean midpoint; 'heun' is the other kind. */
export const DPM_SOLVER_TYPES = ['midpoint', 'heun', 'logrho', 'bh1', 'bh2'] as const;

/** Below this many steps lower_order_final lowers the order at the end. */
export const FEW_STEPS = 15;

/** Outputs that the third order looks at. */
const HISTORY = 3;

/** A noise level: picture and noise in the latents, and lambda = log(alpha / sigma). */
export interface Level {
  alpha: number;
  sigma: number;
  lambda: number;
}

/**
 * The weights of x, the noise and the derivatives 0 to 2 of the output over a step from s to t, which is h in lambda.
 * Where rounding makes the last step one backwards, an SDE adds no noise.
 */
export function dpmWeights(algorithm: DpmAlgorithm, s: Level, t: Level) {
  const h = t.lambda - s.lambda;
  const up = Math.expm1(h);
  const down = Math.expm1(-h);
  const twice = Math.expm1(-2 * h);
  switch (algorithm) {
    case 'dpmsolver++':
      return {
        x: t.sigma / s.sigma,
        noise: 0,
        d0: -t.alpha * down,
        d1: t.alpha * (down / h + 1),
        d2: -t.alpha * ((down + h) / h ** 2 - 0.5),
      };
    case 'dpmsolver':
      return {
        x: t.alpha / s.alpha,
        noise: 0,
        d0: -t.sigma * up,
        d1: -t.sigma * (up / h - 1),
        d2: -t.sigma * ((up - h) / h ** 2 - 0.5),
      };
    case 'sde-dpmsolver++':
      return {
        x: (t.sigma / s.sigma) * Math.exp(-h),
        noise: t.sigma * Math.sqrt(Math.max(0, -twice)),
        d0: -t.alpha * twice,
        d1: t.alpha * (twice / (2 * h) + 1),
        d2: -t.alpha * ((twice + 2 * h) / (2 * h) ** 2 + 0.5),
      };
    case 'sde-dpmsolver':
      return {
        x: t.alpha / s.alpha,
        noise: t.sigma * Math.sqrt(Math.max(0, Math.expm1(2 * h))),
        d0: -2 * t.sigma * up,
        d1: -2 * t.sigma * (up / h - 1),
        d2: 0,
      };
  }
}

/** How a multistep solver goes through its levels. */
export interface MultistepSettings {
  algorithm: DpmAlgorithm;
  order: number;
  heun: boolean;
  lowerOrderFinal: boolean;
  /** The last step is of first order. */
  firstOrderFinal: boolean;
  /** Every step draws, whether it adds noise or not. */
  draws: boolean;
}

/** What a call runs, and the output that is integrated: x0, or the noise of the slots x, m and x0. */
export interface MultistepCall {
  row: Pick<StepRow, 'timestep' | 'x0'> & { inputScale?: number };
  output: Linear;
}

/**
 * Adds the rows of the calls from `start` on.
 *
 * @param levels of all calls, and the one after the last.
 */
export function addMultistepRows(
  builder: RowBuilder,
  { levels, start, settings }: { levels: readonly Level[]; start: number; settings: MultistepSettings },
  describe: (call: number) => MultistepCall,
): void {
  const calls = levels.length - 1;
  const keep = settings.order > 1;
  for (let call = start; call < calls; call++) {
    const { row, output } = describe(call);
    const stored = ring(call, HISTORY);
    const outputs = [
      keep ? slot(stored) : output,
      slot(ring(call + 2, HISTORY)),
      slot(ring(call + 1, HISTORY)),
    ];
    const order = usableOrder(levels, call, orderAt(settings, call, call - start, calls));
    const assign: [Assignment['to'], Linear][] = keep ? [[stored, output]] : [];
    builder.add({
      ...row,
      timestep: row.timestep as number,
      assign: [...assign, ['x', multistepUpdate(settings, levels, call, order, outputs)]],
      noise: settings.draws ? builder.draw() : undefined,
    });
  }
}

function orderAt(settings: MultistepSettings, call: number, earlier: number, calls: number): number {
  const lower = settings.lowerOrderFinal && calls < FEW_STEPS;
  if (call === calls - 1 && (settings.firstOrderFinal || lower)) return 1;
  return Math.min(settings.order, earlier + 1, call === calls - 2 && lower ? 2 : HISTORY);
}

/** `order`, or less where neighbouring calls have the same level and so no slope between them. */
function usableOrder(levels: readonly Level[], call: number, order: number): number {
  let usable = 1;
  while (usable < order && levels[call - usable]?.lambda !== levels[call - usable + 1]?.lambda) usable++;
  return usable;
}

/** The next x; `outputs` are the converted model outputs of this call and the two before it. */
function multistepUpdate(
  { algorithm, heun }: MultistepSettings,
  levels: readonly Level[],
  call: number,
  order: number,
  outputs: readonly Linear[],
): Linear {
  const level = (i: number) => levels[i] as Level;
  const h = level(call + 1).lambda - level(call).lambda;
  if (h === 0) return slot('x');
  const weights = dpmWeights(algorithm, level(call), level(call + 1));
  const [m0, m1, m2] = outputs as [Linear, Linear, Linear];
  const terms: (readonly [number, Linear])[] = [
    [weights.x, slot('x')],
    [weights.noise, slot('noise')],
    [weights.d0, m0],
  ];
  if (order === 1) return combine(...terms);
  // Finite differences of the outputs in lambda, in units of h.
  const r0 = (level(call).lambda - level(call - 1).lambda) / h;
  const first = combine([1 / r0, m0], [-1 / r0, m1]);
  if (order === 2) return combine(...terms, [heun ? weights.d1 : weights.d0 / 2, first]);
  const r1 = (level(call - 1).lambda - level(call - 2).lambda) / h;
  const second = combine([1, first], [-1 / r1, m1], [1 / r1, m2]);
  return combine(
    ...terms,
    [weights.d1, combine([1, first], [r0 / (r0 + r1), second])],
    [weights.d2, combine([1 / (r0 + r1), second])],
  );
}
