import { linspace, roundHalfEven } from '../math/numpy.js';
import type { CompileOptions } from './compiled.js';
import type { SchedulerConfig } from './config.js';
import { addMultistepRows, DPM_SOLVER_TYPES, type MultistepSettings } from './dpm-update.js';
import { slot } from './linear.js';
import type { RunContext } from './scheduler-class.js';
import { type SigmaSpacing, spaceSigmas } from './sigma-spacing.js';
import { SOLVER_DEFAULTS, type SolverSchedule, SolverScheduler } from './solver-scheduler.js';

const MAX_ORDER = 3;

/**
 * DPM-Solver++ backwards (diffusers' DPMSolverMultistepInverseScheduler): from a picture's latents up to the noise that
 * leads to them. Its run starts from `latents`, and what it makes are latents. The sde kinds have no way back. Levels of
 * a flow go down all the same, as in diffusers.
 */
export class DPMSolverMultistepInverseScheduler extends SolverScheduler {
  static override readonly className: string = 'DPMSolverMultistepInverseScheduler';
  static override readonly defaults: SchedulerConfig = {
    ...SOLVER_DEFAULTS,
    solver_order: 2,
    algorithm_type: 'dpmsolver++',
    solver_type: 'midpoint',
    euler_at_final: false,
    lambda_min_clipped: -Infinity,
    variance_type: null,
  };

  readonly #settings: MultistepSettings;

  constructor(config?: SchedulerConfig) {
    super(config);
    const algorithm = this.fields.choice('algorithm_type', ['dpmsolver++', 'dpmsolver', 'deis']);
    this.#settings = {
      algorithm: algorithm === 'deis' ? 'dpmsolver++' : algorithm,
      order: this.fields.integer('solver_order', 1, MAX_ORDER),
      heun: this.fields.choice('solver_type', DPM_SOLVER_TYPES) === 'heun',
      lowerOrderFinal: this.lowerOrderFinal,
      firstOrderFinal: this.fields.flag('euler_at_final'),
      draws: false,
    };
    this.lastTimestep();
    if (this.fields.has('variance_type')) {
      throw this.fields.error('variance_type', 'must be null: learned variances are not supported');
    }
    if (algorithm === 'dpmsolver') this.refuseFlowPrediction(`algorithm_type '${algorithm}'`);
  }

  protected override listsTaken(): readonly [] {
    return [];
  }

  /** From low to high; the highest of one more is left out. */
  protected override spacedTimesteps(steps: number): number[] {
    const noisiest = this.lastTimestep() - 1;
    const descending = super.spacedTimesteps(steps);
    switch (this.config.timestep_spacing) {
      case 'linspace':
        return linspace(0, noisiest, steps + 1)
          .slice(0, -1)
          .map(roundHalfEven);
      case 'leading': {
        const ratio = Math.floor((noisiest + 1) / (steps + 1));
        return descending.reverse().map((timestep) => timestep - ratio);
      }
      default:
        return descending.reverse();
    }
  }

  protected override spacedSigmas(spacing: SigmaSpacing, steps: number): number[] {
    const [min, max] = this.sigmaRange();
    const [low, high] = [this.trainingSigmas[0] as number, this.trainingSigmas.at(-1) as number];
    return spaceSigmas(spacing, max ?? low, min ?? high, steps);
  }

  protected override lastTrainingSigma(): number {
    return this.trainingSigmas[this.lastTimestep() - 1] as number;
  }

  /** Timesteps that come twice are left out, though not their sigmas, as in diffusers. */
  protected override schedule(options: CompileOptions): SolverSchedule {
    const { timesteps, sigmas } = super.schedule(options);
    return { timesteps: [...new Set(timesteps)], sigmas };
  }

  protected override emit({ timesteps, sigmas = [], start, builder }: RunContext): void {
    const levels = sigmas.slice(0, timesteps.length + 1).map((sigma) => this.level(sigma));
    addMultistepRows(builder, { levels, start, settings: this.#settings }, (call) => {
      const sigma = sigmas[call] as number;
      return {
        row: { timestep: timesteps[call] as number, x0: this.x0Stage(sigma) },
        output: this.#settings.algorithm === 'dpmsolver' ? this.epsilon(this.scales(sigma)) : slot('x0'),
      };
    });
  }
}
