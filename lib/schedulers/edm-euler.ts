import { invalidArgument } from '../errors.js';
import { CHURN_OPTIONS, readChurn } from './churn.js';
import type { CompileOptions } from './compiled.js';
import type { SchedulerConfig } from './config.js';
import { EDM_DEFAULTS, EdmScheduler } from './edm-scheduler.js';
import { combine, type Linear, slot } from './linear.js';
import type { RunContext, Schedule, SchedulerClass } from './scheduler-class.js';
import type { Assignment } from './table.js';

/**
 * Euler's method for models of EDM (Karras et al. 2022; diffusers' EDMEulerScheduler). As in diffusers `sigmas` of one's
 * own are no noise levels here but places between sigma_max, 0, and sigma_min, 1.
 */
export class EDMEulerScheduler extends EdmScheduler {
  static override readonly className: string = 'EDMEulerScheduler';
  static override readonly runOptions: SchedulerClass['runOptions'] = CHURN_OPTIONS;
  static override readonly defaults: SchedulerConfig = EDM_DEFAULTS;

  protected override lastSigma(spaced: number): number {
    return spaced;
  }

  protected override schedule(options: CompileOptions): Schedule & { sigmas: number[] } {
    const { sigmas: ramp, steps } = options;
    if (ramp === undefined) return super.schedule(options);
    const inside = (place: unknown, i: number) =>
      typeof place === 'number' && place >= 0 && place <= 1 && (i === 0 || place > (ramp[i - 1] as number));
    if (!Array.isArray(ramp) || ramp.length === 0 || !ramp.every(inside)) {
      throw invalidArgument('sigmas', `of ${this.className} must rise from 0 (sigma_max) to 1 (sigma_min)`);
    }
    if (steps !== undefined && steps !== ramp.length) {
      throw invalidArgument('steps', `is ${steps}, but sigmas has ${ramp.length} values`);
    }
    return this.along(ramp);
  }

  protected override emit({ timesteps, sigmas = [], start, options, builder }: RunContext): void {
    const churnAt = readChurn(options, sigmas.length - 1);
    for (let i = start; i < timesteps.length; i++) {
      const sigma = sigmas[i] as number;
      const { raised, added, draws } = churnAt(sigma);
      // The model has seen x without the added noise, x0 is formed from x with it.
      const x0 = this.x0Stage(raised);
      const rest = (sigmas[i + 1] as number) / raised;
      const noisy = combine([1, slot('x')], [added, slot('noise')]);
      const assign: [Assignment['to'], Linear][] = [['x', combine([rest, noisy], [1 - rest, slot('x0')])]];
      if (draws) {
        assign.unshift(['x0', combine([1, slot('x0')], [(x0.x as number) * added, slot('noise')])]);
      }
      builder.add({
        timestep: timesteps[i] as number,
        inputScale: this.inputScale(sigma),
        x0,
        assign,
        noise: draws ? builder.draw() : undefined,
      });
    }
  }
}
