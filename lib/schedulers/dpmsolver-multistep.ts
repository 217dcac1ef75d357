import type { SchedulerConfig } from './config.js';
import {
  addMultistepRows,
  DPM_ALGORITHMS,
  DPM_SOLVER_TYPES,
  type DpmAlgorithm,
  type MultistepSettings,
} from './dpm-update.js';
import { SHIFTING_DEFAULTS } from './flow-sigmas.js';
import { slot } from './linear.js';
import type { RunContext, SchedulerClass } from './scheduler-class.js';
import type { SigmaSpacing } from './sigma-spacing.js';
import { SOLVER_DEFAULTS, SolverScheduler } from './solver-scheduler.js';

const MAX_ORDER = 3;

/**
 * DPM-Solver and DPM-Solver++ (Lu et al. 2022): multistep solvers of order 1 to 3, the ++ kinds integrating x0 instead
 * of the noise, the sde kinds with one noise draw per step.
 */
export class DPMSolverMultistepScheduler extends SolverScheduler {
  static override readonly className: string = 'DPMSolverMultistepScheduler';
  static override readonly runOptions: SchedulerClass['runOptions'] = ['mu'];
  static override readonly defaults: SchedulerConfig = {
    ...SOLVER_DEFAULTS,
    ...SHIFTING_DEFAULTS,
    solver_order: 2,
    final_sigmas_type: 'zero',
    rescale_betas_zero_snr: false,
    algorithm_type: 'dpmsolver++',
    solver_type: 'midpoint',
    euler_at_final: false,
    use_lu_lambdas: false,
    lambda_min_clipped: -Infinity,
    variance_type: null,
  };
  static override readonly former: SchedulerClass['former'] = [
    { before: [0, 26], fields: { final_sigmas_type: 'sigma_min' } },
  ];

  /** The solvers of the noise have no step to where there is none. */
  static override implied({ algorithm_type: type }: SchedulerConfig): SchedulerConfig {
    return type === 'dpmsolver' || type === 'sde-dpmsolver' ? { final_sigmas_type: 'sigma_min' } : {};
  }

  readonly #algorithm: DpmAlgorithm;
  readonly #settings: MultistepSettings;

  constructor(config?: SchedulerConfig) {
    super(config);
    const order = this.fields.integer('solver_order', 1, MAX_ORDER);
    const algorithm = this.fields.choice('algorithm_type', [...DPM_ALGORITHMS, 'deis']);
    this.#algorithm = algorithm === 'deis' ? 'dpmsolver++' : algorithm;
    const eulerAtFinal = this.fields.flag('euler_at_final');
    this.#settings = {
      algorithm: this.#algorithm,
      order,
      heun: this.fields.choice('solver_type', DPM_SOLVER_TYPES) === 'heun',
      lowerOrderFinal: this.lowerOrderFinal,
      firstOrderFinal: eulerAtFinal || this.endsAtZero,
      draws: this.#algorithm.startsWith('sde-'),
    };
    if (this.endsAtZero && !this.#plusPlus) {
      throw this.fields.error('final_sigmas_type', `must be sigma_min with algorithm_type '${algorithm}'`);
    }
    this.lastTimestep();
    if (this.fields.has('variance_type')) {
      throw this.fields.error('variance_type', 'must be null: learned variances are not supported');
    }
    if (algorithm === 'sde-dpmsolver' && order === MAX_ORDER) {
      throw this.fields.error('solver_order', `must be 1 or 2 with algorithm_type '${algorithm}'`);
    }
    if (!this.#plusPlus) this.refuseFlowPrediction(`algorithm_type '${algorithm}'`);
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

  protected override emit({ timesteps, sigmas = [], start, builder }: RunContext): void {
    const levels = sigmas.map((sigma) => this.level(sigma));
    addMultistepRows(builder, { levels, start, settings: this.#settings }, (call) => {
      const sigma = sigmas[call] as number;
      return {
        row: { timestep: timesteps[call] as number, x0: this.x0Stage(sigma) },
        output: this.#plusPlus ? slot('x0') : this.epsilon(this.scales(sigma)),
      };
    });
  }
}
