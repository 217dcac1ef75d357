import { lagrangeIntegrals } from '../math/exponential-integrals.js';
import type { NoiseLevel } from './compiled.js';
import type { SchedulerConfig } from './config.js';
import type { Level } from './dpm-update.js';
import { combine, type Linear, ring, slot } from './linear.js';
import type { RunContext, Schedule } from './scheduler-class.js';
import { SOLVER_DEFAULTS, SolverScheduler } from './solver-scheduler.js';
import type { Assignment } from './table.js';

/** diffusers' integrals go as far. */
const MAX_ORDER = 4;
/** Outputs of the latest calls are in s0 to s3. */
const HISTORY = 4;
/** The corrected sample that the last prediction started from. */
const BASE = 's4';
/** The noise of the last prediction. */
const NOISE = 's5';

/** A multistep formula over a step: how much of the start, of the noise and of each output it takes, the newest first. */
interface Formula {
  x: number;
  noise: number;
  outputs: number[];
}

/**
 * SA-Solver (Xue et al. 2023; diffusers' SASolverScheduler): a stochastic Adams method. Each call corrects the sample
 * that it was evaluated at with the noise that led there, then predicts the next one with fresh noise. tau says how much
 * noise: 1 at timesteps from 200 to 800, 0 at others, or tau_func at all of them, a number. One draw per call. Where its latents
 * are noised for image to image, the levels are those of the timesteps, as in diffusers.
 */
export class SASolverScheduler extends SolverScheduler {
  static override readonly className: string = 'SASolverScheduler';
  static override readonly defaults: SchedulerConfig = {
    ...SOLVER_DEFAULTS,
    predictor_order: 2,
    corrector_order: 2,
    tau_func: null,
    algorithm_type: 'data_prediction',
    lambda_min_clipped: -Infinity,
    variance_type: null,
  };

  readonly #predictorOrder: number;
  readonly #correctorOrder: number;
  readonly #tau: number | null;
  readonly #ofX0: boolean;

  constructor(config?: SchedulerConfig) {
    super(config);
    this.#predictorOrder = this.fields.integer('predictor_order', 1, MAX_ORDER);
    this.#correctorOrder = this.fields.integer('corrector_order', 1, MAX_ORDER);
    this.#tau = this.fields.has('tau_func') ? this.fields.number('tau_func') : null;
    if (this.#tau !== null && this.#tau < 0) throw this.fields.error('tau_func', 'must be a number from 0');
    // The names of other solvers' kinds, which arrive through fromConfig, mean the usual one.
    const algorithm = this.fields.choice('algorithm_type', ['data_prediction', 'noise_prediction']);
    this.#ofX0 = algorithm === 'data_prediction';
    this.lastTimestep();
    if (this.fields.has('variance_type')) {
      throw this.fields.error('variance_type', 'must be null: learned variances are not supported');
    }
    if (this.#ofX0) return;
    this.refuseFlowPrediction(`algorithm_type '${algorithm}'`);
    if (this.fields.flag('thresholding')) {
      throw this.fields.error('thresholding', `must be false with algorithm_type '${algorithm}'`);
    }
  }

  protected override latentLevel({ sigmas = [] }: Schedule, call: number): NoiseLevel {
    const { alpha, sigma } = this.scales(sigmas[call] as number);
    return { sqrtAlpha: alpha, sigma };
  }

  protected override noiseLevel({ timesteps }: Schedule, call: number): NoiseLevel {
    const alpha = this.alphaAt(timesteps[call] as number);
    return { sqrtAlpha: Math.sqrt(alpha), sigma: Math.sqrt(1 - alpha) };
  }

  protected override emit({ timesteps, sigmas = [], start, builder }: RunContext): void {
    const levels = sigmas.map((sigma) => this.level(sigma));
    const calls = timesteps.length;
    const tau = (call: number) => this.#tauAt(timesteps[call] as number);
    for (let call = start; call < calls; call++) {
      const sigma = sigmas[call] as number;
      const stored = ring(call, HISTORY);
      const assign: [Assignment['to'], Linear][] = [
        [stored, this.#ofX0 ? slot('x0') : this.epsilon(this.scales(sigma))],
      ];
      const earlier = call - start;
      if (earlier === 0) {
        assign.push([BASE, slot('x')]);
      } else {
        const left = this.lowerOrderFinal ? calls - call + 2 : MAX_ORDER;
        const order = this.usableOrder(sigmas, call, Math.min(this.#correctorOrder, left, earlier + 1));
        const formula = this.#corrector(levels, call, order, tau(call - 1));
        assign.push([BASE, apply(formula, call, slot(NOISE))]);
      }
      const left = this.lowerOrderFinal ? calls - call : MAX_ORDER;
      const order = this.usableOrder(sigmas, call, Math.min(this.#predictorOrder, left, earlier + 1));
      const formula = this.#predictor(levels, call, order, tau(call));
      assign.push([NOISE, slot('noise')], ['x', apply(formula, call, slot('noise'))]);
      builder.add({
        timestep: timesteps[call] as number,
        x0: this.x0Stage(sigma),
        assign,
        noise: builder.draw(),
      });
    }
  }

  #tauAt(timestep: number): number {
    return this.#tau ?? (timestep >= 200 && timestep <= 800 ? 1 : 0);
  }

  /** From the level of `call` to the next one, by the outputs of this call and the ones before it. */
  #predictor(levels: readonly Level[], call: number, order: number, tau: number): Formula {
    const [from, to] = [levels[call] as Level, levels[call + 1] as Level];
    const formula = this.#formula(levels, [from, to], call, order, tau);
    if (!this.#ofX0 || order !== 2) return formula;
    const gap = from.lambda - (levels[call - 1] as Level).lambda;
    return this.#shifted(formula, to, tau, remainder(to.lambda - from.lambda, tau) / gap);
  }

  /** From the level before `call` to its own, by the outputs of this call and the ones before it. */
  #corrector(levels: readonly Level[], call: number, order: number, tau: number): Formula {
    const [from, to] = [levels[call - 1] as Level, levels[call] as Level];
    const formula = this.#formula(levels, [from, to], call, order, tau);
    if (!this.#ofX0 || order !== 2) return formula;
    const h = to.lambda - from.lambda;
    return this.#shifted(formula, to, tau, remainder(h, tau) / h);
  }

  /** Equations 14 and 17 of the paper, with the polynomials' integrals. */
  #formula(
    levels: readonly Level[],
    [from, to]: [Level, Level],
    call: number,
    order: number,
    tau: number,
  ): Formula {
    const h = to.lambda - from.lambda;
    const nodes = Array.from({ length: order }, (_, back) => (levels[call - back] as Level).lambda);
    const square = 1 + tau ** 2;
    const rate = this.#ofX0 ? square : -1;
    const scale = square * (this.#ofX0 ? to.alpha : -to.sigma);
    const weights = lagrangeIntegrals(nodes, { from: from.lambda, to: to.lambda, rate });
    const outputs = weights.map((weight) => scale * weight);
    if (this.#ofX0) {
      const x = Math.exp(-(tau ** 2) * h) * (to.sigma / from.sigma);
      return { x, noise: to.sigma * Math.sqrt(-Math.expm1(-2 * tau ** 2 * h)), outputs };
    }
    const noise = tau * to.sigma * Math.sqrt(Math.expm1(2 * h));
    return { x: to.alpha / from.alpha, noise, outputs };
  }

  /** The authors' change of the second order, of third order in h: better pictures in few steps. */
  #shifted(formula: Formula, to: Level, tau: number, amount: number): Formula {
    const [newest, older] = formula.outputs as [number, number];
    const change = (1 + tau ** 2) * to.alpha * amount;
    return { ...formula, outputs: [newest + change, older - change] };
  }
}

/** h^2 / 2 less the integral that it stands for. */
function remainder(h: number, tau: number): number {
  const square = 1 + tau ** 2;
  return h ** 2 / 2 - (h * square + Math.expm1(-square * h)) / square ** 2;
}

function apply({ x, noise, outputs }: Formula, call: number, drawn: Linear): Linear {
  return combine(
    [x, slot(BASE)],
    [noise, drawn],
    ...outputs.map((weight, back) => [weight, slot(ring(call - back, HISTORY))] as const),
  );
}
