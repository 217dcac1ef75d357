import type { SchedulerConfig } from './config.js';
import type { MultistepSettings } from './dpm-update.js';
import { EDM_SOLVER_DEFAULTS, EDMDPMSolverMultistepScheduler } from './edm-dpmsolver-multistep.js';

const MAX_ORDER = 2;

/**
 * The SDE solver of DPM-Solver++ for models that get the angle of their noise level, atan(sigma) * 2 / pi, for a
 * timestep (diffusers' CosineDPMSolverMultistepScheduler, made for Stable Audio). One draw per call: an independent one,
 * where diffusers takes them from a Brownian motion; their distribution is the same.
 */
export class CosineDPMSolverMultistepScheduler extends EDMDPMSolverMultistepScheduler {
  static override readonly className: string = 'CosineDPMSolverMultistepScheduler';
  static override readonly defaults: SchedulerConfig = {
    ...EDM_SOLVER_DEFAULTS,
    sigma_min: 0.3,
    sigma_max: 500,
    sigma_data: 1,
    sigma_schedule: 'exponential',
    prediction_type: 'v_prediction',
  };

  protected override algorithm(): Pick<MultistepSettings, 'algorithm' | 'order' | 'draws'> {
    const order = this.fields.integer('solver_order', 1, MAX_ORDER);
    return { algorithm: 'sde-dpmsolver++', order, draws: true };
  }

  protected override timestepOf(sigma: number): number {
    return (Math.atan(sigma) / Math.PI) * 2;
  }
}
