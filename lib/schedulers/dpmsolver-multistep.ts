import type { SchedulerConfig } from './config.js';
import { combine, type Linear, ring, slot } from './linear.js';
import type { RunContext } from './scheduler-class.js';
import type { SigmaSpacing } from './sigma-spacing.js';
import { alphaSigma, lambdaOf } from './sigmas.js';
import { SOLVER_DEFAULTS, SolverScheduler } from './solver-scheduler.js';
import type { Assignment } from './table.js';

const MAX_ORDER = 3;
/** Below this many steps lower_order_final lowers the order at the end. */
const FEW_STEPS = 15;

const ALGORITHMS = ['dpmsolver', 'dpmsolver++', 'sde-dpmsolver', 'sde-dpmsolver++'] as const;
type Algorithm = (typeof ALGORITHMS)[number];

/**
 * DPM-Solver and DPM-Solver++ (Lu et al. 2022): multistep solvers of order 1 to 3, the ++ kinds integrating x0 instead
 * of the noise, the sde kinds with one noise draw per step.
 */
export class DPMSolverMultistepScheduler extends SolverScheduler {
  static override readonly className: string = 'DPMSolverMultistepScheduler';
  static override readonly defaults: SchedulerConfig = {
    ...SOLVER_DEFAULTS,
    algorithm_type: 'dpmsolver++',
    solver_type: 'midpoint',
    euler_at_final: false,
    use_lu_lambdas: false,
    lambda_min_clipped: -Infinity,
    variance_type: null,
  };
  static override readonly former = [
    { before: [0, 26], fields: { final_sigmas_type: 'sigma_min' } },
  ] as const;

  /** The solvers of the noise have no step to where there is none. */
  static override implied({ algorithm_type: type }: SchedulerConfig): SchedulerConfig {
    return type === 'dpmsolver' || type === 'sde-dpmsolver' ? { final_sigmas_type: 'sigma_min' } : {};
  }

  readonly #algorithm: Algorithm;
  readonly #heun: boolean;
  readonly #eulerAtFinal: boolean;

  constructor(config?: SchedulerConfig) {
    super(config, MAX_ORDER);
    const algorithm = this.fields.choice('algorithm_type', [...ALGORITHMS, 'deis']);
    this.#algorithm = algorithm === 'deis' ? 'dpmsolver++' : algorithm;
    // The names of other solvers' types, which arrive through fromConfig, mean midpoint.
    this.#heun = this.fields.choice('solver_type', ['midpoint', 'heun', 'logrho', 'bh1', 'bh2']) === 'heun';
    this.#eulerAtFinal = this.fields.flag('euler_at_final');
    if (this.endsAtZero && !this.#plusPlus) {
      throw this.fields.error('final_sigmas_type', `must be sigma_min with algorithm_type '${algorithm}'`);
    }
    this.lastTimestep();
    if (this.fields.has('variance_type')) {
      throw this.fields.error('variance_type', 'must be null: learned variances are not supported');
    }
    if (algorithm === 'sde-dpmsolver' && this.solverOrder === MAX_ORDER) {
      throw this.fields.error('solver_order', `must be 1 or 2 with algorithm_type '${algorithm}'`);
    }
  }

  get #stochastic(): boolean {
    return this.#algorithm.startsWith('sde-');
  }

  get #plusPlus(): boolean {
    return this.#algorithm.endsWith('++');
  }

  protected override wholeTimestep(timestep: number, spacing: SigmaSpacing | undefined): number {
    // Rounding would make several of the first timesteps one.
    const isCosine = this.config.beta_schedule === 'squaredcos_cap_v2' && !this.isOlder([0, 33]);
    return isCosine && spacing ? Math.trunc(timestep) : super.wholeTimestep(timestep, spacing);
  }

  protected override lowestSigma(spaced: number, trained: number): number {
    return this.isOlder([0, 26]) ? spaced : Math.min(spaced, trained);
  }

  protected override lastTimestep(): number {
    const clip = this.config.lambda_min_clipped;
    if (clip === -Infinity || clip === null) return this.trainSteps;
    const min = this.fields.number('lambda_min_clipped');
    const usable = this.alphasCumprod.filter((a) => 0.5 * Math.log(a / (1 - a)) >= min).length;
    if (usable === 0) throw this.fields.error('lambda_min_clipped', 'leaves no timestep');
    return usable;
  }

  protected override emit({ timesteps, sigmas = [], start, builder }: RunContext): void {
    for (let call = start; call < timesteps.length; call++) {
      const scales = alphaSigma(sigmas[call] as number);
      const output = this.#plusPlus ? slot('x0') : this.epsilon(scales);
      const keep = this.solverOrder > 1;
      const stored = ring(call, MAX_ORDER);
      const outputs = [
        keep ? slot(stored) : output,
        slot(ring(call + 2, MAX_ORDER)),
        slot(ring(call + 1, MAX_ORDER)),
      ];
      const order = this.usableOrder(sigmas, call, this.#orderAt(call, call - start, timesteps.length));
      const assign: [Assignment['to'], Linear][] = keep ? [[stored, output]] : [];
      builder.add({
        timestep: timesteps[call] as number,
        x0: this.x0Stage(scales),
        assign: [...assign, ['x', this.#update(sigmas, call, order, outputs)]],
        noise: this.#stochastic ? builder.draw() : undefined,
      });
    }
  }

  #orderAt(call: number, earlier: number, calls: number): number {
    const lower = this.lowerOrderFinal && calls < FEW_STEPS;
    if (call === calls - 1 && (this.#eulerAtFinal || lower || this.endsAtZero)) return 1;
    return Math.min(this.solverOrder, earlier + 1, call === calls - 2 && lower ? 2 : MAX_ORDER);
  }

  /** The next x; `outputs` are the converted model outputs of this call and the two before it. */
  #update(sigmas: readonly number[], call: number, order: number, outputs: readonly Linear[]): Linear {
    const lambda = (i: number) => lambdaOf(sigmas[i] as number);
    const h = lambda(call + 1) - lambda(call);
    if (h === 0) return slot('x');
    const weights = this.#weights(
      alphaSigma(sigmas[call] as number),
      alphaSigma(sigmas[call + 1] as number),
      h,
    );
    const [m0, m1, m2] = outputs as [Linear, Linear, Linear];
    const terms: (readonly [number, Linear])[] = [
      [weights.x, slot('x')],
      [weights.noise, slot('noise')],
      [weights.d0, m0],
    ];
    // Finite differences of the outputs in lambda, in units of h.
    const r0 = (lambda(call) - lambda(call - 1)) / h;
    const first = combine([1 / r0, m0], [-1 / r0, m1]);
    if (order === 2) terms.push([this.#heun ? weights.d1 : weights.d0 / 2, first]);
    if (order === 3) {
      const r1 = (lambda(call - 1) - lambda(call - 2)) / h;
      const second = combine([1, first], [-1 / r1, m1], [1 / r1, m2]);
      terms.push([weights.d1, combine([1, first], [r0 / (r0 + r1), second])]);
      terms.push([weights.d2, combine([1 / (r0 + r1), second])]);
    }
    return combine(...terms);
  }

  /** The weights of x, the noise and the derivatives 0 to 2 of the output over a step from s to t. */
  #weights(s: { alpha: number; sigma: number }, t: { alpha: number; sigma: number }, h: number) {
    const up = Math.expm1(h);
    const down = Math.expm1(-h);
    const twice = Math.expm1(-2 * h);
    switch (this.#algorithm) {
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
          noise: t.sigma * Math.sqrt(-twice),
          d0: -t.alpha * twice,
          d1: t.alpha * (twice / (2 * h) + 1),
          d2: -t.alpha * ((twice + 2 * h) / (2 * h) ** 2 + 0.5),
        };
      case 'sde-dpmsolver':
        return {
          x: t.alpha / s.alpha,
          noise: t.sigma * Math.sqrt(Math.expm1(2 * h)),
          d0: -2 * t.sigma * up,
          d1: -2 * t.sigma * (up / h - 1),
          d2: 0,
        };
    }
  }
}
