import { lagrangeIntegrals } from '../math/exponential-integrals.js';
import type { SchedulerConfig } from './config.js';
import { FEW_STEPS, type Level } from './dpm-update.js';
import { SHIFTING_DEFAULTS } from './flow-sigmas.js';
import { combine, type Linear, ring, slot } from './linear.js';
import type { RunContext, SchedulerClass } from './scheduler-class.js';
import { SOLVER_DEFAULTS, SolverScheduler } from './solver-scheduler.js';

const MAX_ORDER = 3;

/**
 * DEIS (Zhang and Chen 2023, the kind "log rho AB"; diffusers' DEISMultistepScheduler): an exponential integrator of the
 * predicted noise, whose polynomial through the latest outputs is in log(sigma / alpha).
 */
export class DEISMultistepScheduler extends SolverScheduler {
  static override readonly className: string = 'DEISMultistepScheduler';
  static override readonly runOptions: SchedulerClass['runOptions'] = ['mu'];
  static override readonly defaults: SchedulerConfig = {
    ...SOLVER_DEFAULTS,
    ...SHIFTING_DEFAULTS,
    solver_order: 2,
    algorithm_type: 'deis',
    solver_type: 'logrho',
  };

  readonly #order: number;

  constructor(config?: SchedulerConfig) {
    super(config);
    this.#order = this.fields.integer('solver_order', 1, MAX_ORDER);
    // The names of other solvers' kinds, which arrive through fromConfig, mean its only one.
    this.fields.choice('algorithm_type', ['deis', 'dpmsolver', 'dpmsolver++']);
    this.fields.choice('solver_type', ['logrho', 'midpoint', 'heun', 'bh1', 'bh2']);
  }

  protected override emit({ timesteps, sigmas = [], start, builder }: RunContext): void {
    const levels = sigmas.map((sigma) => this.level(sigma));
    for (let call = start; call < timesteps.length; call++) {
      const sigma = sigmas[call] as number;
      const known = Math.min(call - start + 1, this.#orderAt(call, timesteps.length));
      builder.add({
        timestep: timesteps[call] as number,
        x0: this.x0Stage(sigma),
        assign: [
          [ring(call, MAX_ORDER), this.epsilon(this.scales(sigma))],
          ['x', update(levels, call, this.usableOrder(sigmas, call, known))],
        ],
      });
    }
  }

  #orderAt(call: number, calls: number): number {
    const left = this.lowerOrderFinal && calls < FEW_STEPS ? calls - call : MAX_ORDER;
    return Math.min(this.#order, left);
  }
}

/** The next x from the outputs of `order` calls (equation 15 of the paper). */
function update(levels: readonly Level[], call: number, order: number): Linear {
  const [s, t] = [levels[call] as Level, levels[call + 1] as Level];
  const backs = Array.from({ length: order }, (_, back) => back);
  const nodes = backs.map((back) => -(levels[call - back] as Level).lambda);
  const weights = lagrangeIntegrals(nodes, { from: -s.lambda, to: -t.lambda, rate: 1 });
  return combine(
    [t.alpha / s.alpha, slot('x')],
    ...backs.map(
      (back) => [t.sigma * (weights[back] as number), slot(ring(call - back, MAX_ORDER))] as const,
    ),
  );
}
