import { readThreshold, THRESHOLD_DEFAULTS, type X0Limit } from './clipping.js';
import type { SchedulerConfig } from './config.js';
import { addMultistepRows, DPM_SOLVER_TYPES, type MultistepSettings } from './dpm-update.js';
import { EDM_DEFAULTS, EdmScheduler } from './edm-scheduler.js';
import { slot } from './linear.js';
import type { RunContext } from './scheduler-class.js';

const MAX_ORDER = 3;

export const EDM_SOLVER_DEFAULTS = {
  ...EDM_DEFAULTS,
  solver_order: 2,
  solver_type: 'midpoint',
  lower_order_final: true,
  euler_at_final: false,
} satisfies SchedulerConfig;

/**
 * DPM-Solver++ (Lu et al. 2022) of order 1 to 3 for models of EDM (diffusers' EDMDPMSolverMultistepScheduler): the
 * sampler of Playground v2.5. The sde kind draws at every call.
 */
export class EDMDPMSolverMultistepScheduler extends EdmScheduler {
  static override readonly className: string = 'EDMDPMSolverMultistepScheduler';
  static override readonly defaults: SchedulerConfig = {
    ...EDM_SOLVER_DEFAULTS,
    ...THRESHOLD_DEFAULTS,
    algorithm_type: 'dpmsolver++',
  };

  readonly #settings: MultistepSettings;
  readonly #threshold: X0Limit;

  constructor(config?: SchedulerConfig) {
    super(config);
    this.#settings = {
      ...this.algorithm(),
      heun: this.fields.choice('solver_type', DPM_SOLVER_TYPES) === 'heun',
      lowerOrderFinal: this.fields.flag('lower_order_final'),
      firstOrderFinal: this.fields.flag('euler_at_final') || this.endsAtZero,
    };
    this.#threshold = this.owns('thresholding') ? readThreshold(this.fields) : {};
  }

  /** What the fields say about the solver. */
  protected algorithm(): Pick<MultistepSettings, 'algorithm' | 'order' | 'draws'> {
    const order = this.fields.integer('solver_order', 1, MAX_ORDER);
    const type = this.fields.choice('algorithm_type', ['dpmsolver++', 'sde-dpmsolver++', 'deis']);
    const algorithm = type === 'deis' ? 'dpmsolver++' : type;
    const draws = algorithm === 'sde-dpmsolver++';
    if (draws && order === MAX_ORDER) {
      throw this.fields.error('solver_order', `must be 1 or 2 with algorithm_type '${type}'`);
    }
    return { algorithm, order, draws };
  }

  protected override emit({ timesteps, sigmas = [], start, builder }: RunContext): void {
    const levels = sigmas.map((sigma) => ({ alpha: 1, sigma, lambda: -Math.log(sigma) }));
    addMultistepRows(builder, { levels, start, settings: this.#settings }, (call) => {
      const sigma = sigmas[call] as number;
      return {
        row: {
          timestep: timesteps[call] as number,
          inputScale: this.inputScale(sigma),
          x0: { ...this.x0Stage(sigma), ...this.#threshold },
        },
        output: slot('x0'),
      };
    });
  }
}
