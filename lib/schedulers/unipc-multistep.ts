import { invalidArgument } from '../errors.js';
import { linspace } from '../math/numpy.js';
import { solve } from '../math/solve.js';
import type { CompileOptions } from './compiled.js';
import type { SchedulerConfig } from './config.js';
import { readTerminal, SHIFTING_DEFAULTS, shiftFlow, stretchToTerminal, TIME_SHIFTS } from './flow-sigmas.js';
import { combine, type Linear, ring, slot } from './linear.js';
import type { RunContext, SchedulerClass } from './scheduler-class.js';
import type { SigmaSpacing } from './sigma-spacing.js';
import { SOLVER_DEFAULTS, type SolverSchedule, SolverScheduler } from './solver-scheduler.js';
import type { Assignment } from './table.js';

/** Outputs of the order + 1 latest calls are kept in s0 to s8. */
const MAX_ORDER = 8;
/** A flow begins so far below 1. */
const NEAR_ONE = 1e-6;
/** The corrected sample that the last prediction started from. */
const BASE = 's9';

/** A multistep formula: weights of the start sample, of the newest known output and of the differences to it. */
interface Formula {
  x: number;
  m0: number;
  /** Weight of (output - m0) for the outputs before m0, newest first. */
  past: number[];
  /** Weight of (new output - m0), the corrector's. */
  next: number;
}

/**
 * UniPC (Zhao et al. 2023): each call first corrects the sample that it was evaluated at, with the order of the
 * prediction that led there, then predicts the next one.
 */
export class UniPCMultistepScheduler extends SolverScheduler {
  static override readonly className: string = 'UniPCMultistepScheduler';
  static override readonly runOptions: SchedulerClass['runOptions'] = ['mu'];
  static override readonly defaults: SchedulerConfig = {
    ...SOLVER_DEFAULTS,
    ...SHIFTING_DEFAULTS,
    shift_terminal: null,
    solver_order: 2,
    final_sigmas_type: 'zero',
    rescale_betas_zero_snr: false,
    predict_x0: true,
    solver_type: 'bh2',
    disable_corrector: [],
    solver_p: null,
  };
  static override readonly former = [
    { before: [0, 28], fields: { final_sigmas_type: 'sigma_min' } },
  ] as const;

  /** The predicted noise is no help in a step to where there is none. */
  static override implied({ predict_x0: predictX0 }: SchedulerConfig): SchedulerConfig {
    return predictX0 === false ? { final_sigmas_type: 'sigma_min' } : {};
  }

  readonly #order: number;
  readonly #predictX0: boolean;
  readonly #bh1: boolean;
  readonly #uncorrected: ReadonlySet<number>;
  readonly #terminal: number | null;

  constructor(config?: SchedulerConfig) {
    super(config);
    this.#order = this.fields.integer('solver_order', 1, MAX_ORDER);
    this.#predictX0 = this.fields.flag('predict_x0');
    // The names of other solvers' types, which arrive through fromConfig, mean bh2.
    this.#bh1 = this.fields.choice('solver_type', ['bh1', 'bh2', 'midpoint', 'heun', 'logrho']) === 'bh1';
    this.#uncorrected = new Set(this.fields.numbers('disable_corrector'));
    if (this.endsAtZero && !this.#predictX0) {
      throw this.fields.error('final_sigmas_type', 'must be sigma_min with predict_x0 false');
    }
    if (this.endsAtZero && !this.lowerOrderFinal && this.#order > 1) {
      throw this.fields.error('lower_order_final', 'must be true with final_sigmas_type zero');
    }
    if (this.fields.has('solver_p')) {
      throw this.fields.error('solver_p', 'must be null: another predictor is not supported');
    }
    this.#terminal = readTerminal(this.fields);
    if (this.#terminal !== null && !this.isFlow) {
      throw this.fields.error('shift_terminal', 'is for use_flow_sigmas');
    }
    if (!this.#predictX0) this.refuseFlowPrediction('predict_x0 false');
  }

  /** A flow's levels begin at 1, or are the user's own; Karras sigmas are those of the training range, on the line. */
  protected override flowSchedule(
    steps: number,
    { timesteps, sigmas, mu }: CompileOptions,
    spacing: SigmaSpacing | undefined,
  ): SolverSchedule {
    if (timesteps) throw invalidArgument('timesteps', 'of your own and use_flow_sigmas exclude each other');
    const shift = this.flowShift(mu, { needsMu: true, types: TIME_SHIFTS });
    if (spacing) {
      if (spacing !== 'karras')
        throw this.fields.error('use_flow_sigmas', `and ${spacing} sigmas exclude each other`);
      return this.finishFlow(this.spacedSigmas(spacing, steps).map((sigma) => sigma / (sigma + 1)));
    }
    const unshifted = sigmas ?? linspace(1, 1 / this.trainSteps, steps + 1).slice(0, -1);
    if ((unshifted[0] as number) > 1) throw invalidArgument('sigmas', 'of a flow must not be above 1');
    const shifted = unshifted.map((sigma) => shiftFlow(sigma, shift));
    const levels = this.#terminal === null ? shifted : stretchToTerminal(shifted, this.#terminal);
    // At 1 there is no picture to take the logarithm of.
    if (Math.abs((levels[0] as number) - 1) < NEAR_ONE) levels[0] = (levels[0] as number) - NEAR_ONE;
    return this.finishFlow(levels);
  }

  protected override emit({ timesteps, sigmas = [], start, builder }: RunContext): void {
    const size = this.#order + 1;
    const history = (call: number) => ring(call, size);
    let predictionOrder = 0;
    for (let call = start; call < timesteps.length; call++) {
      const sigma = sigmas[call] as number;
      const output = this.#predictX0 ? slot('x0') : this.epsilon(this.scales(sigma), false);
      const assign: [Assignment['to'], Linear][] = [[history(call), output]];
      if (call > start && !this.#uncorrected.has(call - 1)) {
        const formula = this.#formula(sigmas, call - 1, predictionOrder, true);
        assign.push(['x', apply(formula, BASE, call - 1, history)]);
      }
      const left = this.lowerOrderFinal ? timesteps.length - call : this.#order;
      const known = Math.min(this.#order, left, call - start + 1);
      predictionOrder = sigmas[call + 1] === 0 ? 1 : this.usableOrder(sigmas, call, known);
      const formula = this.#formula(sigmas, call, predictionOrder, false);
      assign.push([BASE, slot('x')], ['x', apply(formula, 'x', call, history)]);
      builder.add({ timestep: timesteps[call] as number, x0: this.x0Stage(sigma), assign });
    }
  }

  /** The step from `call` to the next one, with `order` known outputs and, for the corrector, the one at its end. */
  #formula(sigmas: readonly number[], call: number, order: number, corrector: boolean): Formula {
    const level = (i: number) => this.level(sigmas[i] as number);
    const [s, t] = [level(call), level(call + 1)];
    const h = t.lambda - s.lambda;
    if (h === 0) return { x: 1, m0: 0, past: [], next: 0 };
    const hh = this.#predictX0 ? -h : h;
    const phi = Math.expm1(hh);
    const scale = this.#predictX0 ? -t.alpha : -t.sigma;
    const ratios: number[] = [];
    for (let back = 1; back < order; back++) ratios.push((level(call - back).lambda - s.lambda) / h);
    const rhos = corrector
      ? correctorWeights(ratios, hh, this.#scaleB(hh))
      : predictorWeights(ratios, hh, this.#scaleB(hh));
    return {
      x: this.#predictX0 ? t.sigma / s.sigma : t.alpha / s.alpha,
      m0: scale * phi,
      past: ratios.map((ratio, i) => (scale * this.#scaleB(hh) * (rhos[i] as number)) / ratio),
      next: corrector ? scale * this.#scaleB(hh) * (rhos.at(-1) as number) : 0,
    };
  }

  /** B(h) of the paper: h or exp(h) - 1. */
  #scaleB(hh: number): number {
    return this.#bh1 ? hh : Math.expm1(hh);
  }
}

function apply(
  formula: Formula,
  base: 'x' | typeof BASE,
  call: number,
  history: (call: number) => Assignment['to'],
): Linear {
  const m0 = slot(history(call));
  const terms: (readonly [number, Linear])[] = [
    [formula.x, slot(base)],
    [formula.m0, m0],
  ];
  for (const [i, weight] of formula.past.entries()) {
    terms.push([weight, combine([1, slot(history(call - 1 - i))], [-1, m0])]);
  }
  if (formula.next !== 0) terms.push([formula.next, combine([1, slot(history(call + 1))], [-1, m0])]);
  return combine(...terms);
}

function predictorWeights(ratios: readonly number[], hh: number, scaleB: number): number[] {
  // The paper fixes the second-order predictor's weight instead of solving for it; so does the corrector's first order.
  if (ratios.length <= 1) return ratios.map(() => 0.5);
  return solve(...momentSystem(ratios, hh, scaleB)).flat();
}

function correctorWeights(ratios: readonly number[], hh: number, scaleB: number): number[] {
  return ratios.length === 0 ? [0.5] : solve(...momentSystem([...ratios, 1], hh, scaleB)).flat();
}

/**
 * The order conditions of the paper's theorem 3.1: for each power i of the ratios, the sum of rho_k * ratio_k^i must be
 * a multiple of phi_(i + 2)(hh), the integral that the formula approximates, divided by B(h).
 */
function momentSystem(ratios: readonly number[], hh: number, scaleB: number): [number[][], number[][]] {
  const matrix: number[][] = [];
  const right: number[][] = [];
  let phi = Math.expm1(hh) / hh - 1;
  let factorial = 1;
  for (let i = 0; i < ratios.length; i++) {
    matrix.push(ratios.map((ratio) => ratio ** i));
    right.push([(phi * factorial) / scaleB]);
    factorial *= i + 2;
    phi = phi / hh - 1 / factorial;
  }
  return [matrix, right];
}
