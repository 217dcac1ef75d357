import { linspace } from '../math/numpy.js';
import { type CompileOptions, type NoiseLevel, resolveSteps } from './compiled.js';
import type { SchedulerConfig } from './config.js';
import {
  readTerminal,
  SHIFTING_DEFAULTS,
  shiftFlow,
  shiftOf,
  stretchToTerminal,
  TIME_SHIFTS,
} from './flow-sigmas.js';
import { combine, slot } from './linear.js';
import { type PredictionType, predictX0Unscaled } from './prediction.js';
import { Scheduler } from './scheduler.js';
import type { RunContext, Schedule, SchedulerClass } from './scheduler-class.js';
import { SIGMA_SPACING_DEFAULTS, spaceSigmas } from './sigma-spacing.js';

const f32 = Math.fround;

/**
 * Euler's method along a flow's straight lines x = (1 - sigma) * x0 + sigma * noise (Lipman et al. 2023, Esser et al.
 * 2024; diffusers' FlowMatchEulerDiscreteScheduler). A fixed shift is applied to the ends of the range and once more to
 * the levels between them, as in diffusers. With stochastic_sampling each step draws.
 */
export class FlowMatchEulerDiscreteScheduler extends Scheduler {
  static override readonly className: string = 'FlowMatchEulerDiscreteScheduler';
  static override readonly runOptions: SchedulerClass['runOptions'] = ['mu'];
  static override readonly defaults: SchedulerConfig = {
    num_train_timesteps: 1000,
    shift: 1,
    ...SHIFTING_DEFAULTS,
    // Of pipelines, which make mu of them.
    base_shift: 0.5,
    max_shift: 1.15,
    base_image_seq_len: 256,
    max_image_seq_len: 4096,
    invert_sigmas: false,
    shift_terminal: null,
    ...SIGMA_SPACING_DEFAULTS,
    sigma_min: null,
    sigma_max: null,
    stochastic_sampling: false,
  };

  readonly #terminal: number | null;
  readonly #inverted: boolean;
  readonly #stochastic: boolean;

  constructor(config?: SchedulerConfig) {
    super(config);
    this.fields.positive('shift');
    this.fields.choice('time_shift_type', TIME_SHIFTS);
    this.fields.flag('use_dynamic_shifting');
    this.#terminal = readTerminal(this.fields);
    this.#inverted = this.fields.flag('invert_sigmas');
    this.#stochastic = this.fields.flag('stochastic_sampling');
    this.#range();
  }

  protected override predictionTypes(): readonly PredictionType[] {
    return ['flow_prediction'];
  }

  #range(): [min: number | null, max: number | null] {
    return [this.fields.optionalPositive('sigma_min'), this.fields.optionalPositive('sigma_max')];
  }

  protected override schedule(options: CompileOptions): Schedule & { sigmas: number[] } {
    const steps = resolveSteps(this.className, options, this.trainSteps, ['timesteps', 'sigmas']);
    // Also between the ends of lists of one's own.
    const spacing = this.sigmaSpacing({});
    const dynamic = { needsMu: true, types: TIME_SHIFTS };
    const shift = shiftOf(this.fields, this.ownDefaults, { mu: options.mu, fixed: 'shift', dynamic });
    const shifted = this.#unshifted(options, steps).map((sigma) => shiftFlow(sigma, shift));
    let levels = this.#terminal === null ? shifted : stretchToTerminal(shifted, this.#terminal);
    if (spacing) {
      const [min, max] = this.#range();
      levels = spaceSigmas(spacing, max ?? (levels[0] as number), min ?? (levels.at(-1) as number), steps);
    }
    const sigmas = levels.map(f32).map((sigma) => (this.#inverted ? f32(1 - sigma) : sigma));
    const timesteps = sigmas.map((sigma) => f32(sigma * this.trainSteps));
    return { timesteps, sigmas: [...sigmas, this.#inverted ? 1 : 0] };
  }

  /** The levels before the run's shift. */
  #unshifted({ timesteps, sigmas }: CompileOptions, steps: number): number[] {
    if (sigmas) return sigmas.map(f32);
    const { trainSteps } = this;
    if (timesteps) return timesteps.map((timestep) => f32(f32(timestep) / trainSteps));
    const fixed = this.fields.flag('use_dynamic_shifting') ? 1 : this.fields.positive('shift');
    const end = (sigma: number) => f32(shiftFlow(sigma, fixed)) * trainSteps;
    return linspace(end(1), end(1 / trainSteps), steps).map((timestep) => timestep / trainSteps);
  }

  protected override noiseLevel({ sigmas = [] }: Schedule, call: number): NoiseLevel {
    const sigma = sigmas[call] as number;
    return { sqrtAlpha: 1 - sigma, sigma };
  }

  protected override emit({ timesteps, sigmas = [], start, builder }: RunContext): void {
    for (let call = start; call < timesteps.length; call++) {
      const [sigma, next] = [sigmas[call] as number, sigmas[call + 1] as number];
      builder.add({
        timestep: timesteps[call] as number,
        x0: predictX0Unscaled(this.predictionType, sigma),
        assign: [
          [
            'x',
            this.#stochastic
              ? combine([1 - next, slot('x0')], [next, slot('noise')])
              : combine([1, slot('x')], [next - sigma, slot('m')]),
          ],
        ],
        noise: this.#stochastic ? builder.draw() : undefined,
      });
    }
  }
}
