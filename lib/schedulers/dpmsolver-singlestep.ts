import type { SchedulerConfig } from './config.js';
import { DPM_SOLVER_TYPES, type DpmAlgorithm, dpmWeights, type Level } from './dpm-update.js';
import { SHIFTING_DEFAULTS } from './flow-sigmas.js';
import { combine, type Linear, ring, slot } from './linear.js';
import type { RunContext, SchedulerClass } from './scheduler-class.js';
import { SOLVER_DEFAULTS, SolverScheduler } from './solver-scheduler.js';
import type { Assignment } from './table.js';

const MAX_ORDER = 3;
/** Outputs of the latest calls are in s0 to s2. */
const HISTORY = 3;
/** The sample that all calls of a group start from. */
const BASE = 's3';

const ALGORITHMS = ['dpmsolver', 'dpmsolver++', 'sde-dpmsolver++'] as const;

// Its timesteps are spaced one way only.
const { timestep_spacing: _, steps_offset: __, ...FIELDS } = SOLVER_DEFAULTS;

/**
 * Singlestep DPM-Solver and DPM-Solver++ (Lu et al. 2022, algorithms 1 and 2; diffusers' DPMSolverSinglestepScheduler):
 * calls come in groups of up to the solver's order, all of which start from the sample of the group's first. The sde
 * kind draws at every call.
 */
export class DPMSolverSinglestepScheduler extends SolverScheduler {
  static override readonly className: string = 'DPMSolverSinglestepScheduler';
  static override readonly runOptions: SchedulerClass['runOptions'] = ['mu'];
  static override readonly defaults: SchedulerConfig = {
    ...FIELDS,
    ...SHIFTING_DEFAULTS,
    lower_order_final: false,
    solver_order: 2,
    final_sigmas_type: 'zero',
    algorithm_type: 'dpmsolver++',
    solver_type: 'midpoint',
    lambda_min_clipped: -Infinity,
    variance_type: null,
  };
  static override readonly former: SchedulerClass['former'] = [
    { before: [0, 27], fields: { final_sigmas_type: 'sigma_min' } },
  ];

  /** The solver of the noise has no step to where there is none. */
  static override implied({ algorithm_type: type }: SchedulerConfig): SchedulerConfig {
    return type === 'dpmsolver' ? { final_sigmas_type: 'sigma_min' } : {};
  }

  readonly #algorithm: DpmAlgorithm;
  readonly #order: number;
  readonly #heun: boolean;

  constructor(config?: SchedulerConfig) {
    super(config);
    this.#order = this.fields.integer('solver_order', 1, MAX_ORDER);
    const algorithm = this.fields.choice('algorithm_type', [...ALGORITHMS, 'deis']);
    this.#algorithm = algorithm === 'deis' ? 'dpmsolver++' : algorithm;
    this.#heun = this.fields.choice('solver_type', DPM_SOLVER_TYPES) === 'heun';
    if (this.endsAtZero && algorithm === 'dpmsolver') {
      throw this.fields.error('final_sigmas_type', `must be sigma_min with algorithm_type '${algorithm}'`);
    }
    this.lastTimestep();
    if (this.fields.has('variance_type')) {
      throw this.fields.error('variance_type', 'must be null: learned variances are not supported');
    }
    if (algorithm === 'dpmsolver') this.refuseFlowPrediction(`algorithm_type '${algorithm}'`);
  }

  protected override lowestSigma(_spaced: number, trained: number): number {
    return trained;
  }

  protected override emit({ timesteps, sigmas = [], start, builder }: RunContext): void {
    const levels = sigmas.map((sigma) => this.level(sigma));
    const orders = this.#orders(timesteps.length);
    for (let call = start; call < timesteps.length; call++) {
      const sigma = sigmas[call] as number;
      // A run that starts within a group has no outputs from before.
      const order = Math.min(orders[call] as number, call - start + 1);
      const output = this.#algorithm === 'dpmsolver' ? this.epsilon(this.scales(sigma)) : slot('x0');
      const assign: [Assignment['to'], Linear][] = [[ring(call, HISTORY), output]];
      if (order === 1) assign.push([BASE, slot('x')]);
      builder.add({
        timestep: timesteps[call] as number,
        x0: this.x0Stage(sigma),
        assign: [...assign, ['x', this.#update(levels, call, order)]],
        noise: this.#algorithm === 'sde-dpmsolver++' ? builder.draw() : undefined,
      });
    }
  }

  /** Of every call of a run: 1, 2, 3, 1, 2, 3 with fewer at the end, for the last step is of first order. */
  #orders(calls: number): number[] {
    const order = this.#order;
    const orders = Array.from({ length: calls }, (_, call) => (call % order) + 1);
    // Groups that do not fit, or that end at zero, need lower orders in any case.
    const lower = this.lowerOrderFinal || calls % order !== 0 || this.endsAtZero;
    if (lower && order === 3 && calls % 3 === 0) orders.splice(-3, 3, 1, 2, 1);
    if (lower && order === 2 && calls % 2 === 0) orders.splice(-2, 2, 1, 1);
    if (this.endsAtZero) orders[calls - 1] = 1;
    return orders;
  }

  /** The sample after a call of this order in its group. */
  #update(levels: readonly Level[], call: number, order: number): Linear {
    const level = (back: number) => levels[call - back] as Level;
    const output = (back: number) => slot(ring(call - back + HISTORY, HISTORY));
    const [first, next] = [level(order - 1), levels[call + 1] as Level];
    const h = next.lambda - first.lambda;
    if (h === 0) return slot(BASE);
    const weights = dpmWeights(this.#algorithm, first, next);
    const terms: (readonly [number, Linear])[] = [
      [weights.x, slot(BASE)],
      [weights.noise, slot('noise')],
      [weights.d0, output(order - 1)],
    ];
    const group = Array.from({ length: order }, (_, back) => level(back).lambda);
    // Calls at the same level have no slope between them.
    if (new Set(group).size < order || order === 1) return combine(...terms);
    // Slopes from the group's first call to the others, in units of h.
    const ratio = (back: number) => (level(back).lambda - first.lambda) / h;
    const slope = (back: number) =>
      combine([1 / ratio(back), output(back)], [-1 / ratio(back), output(order - 1)]);
    if (order === 2) return combine(...terms, [this.#heun ? weights.d1 : weights.d0 / 2, slope(0)]);
    if (!this.#heun) return combine(...terms, [weights.d1, slope(0)]);
    const [r0, r1] = [ratio(0), ratio(1)];
    return combine(
      ...terms,
      [weights.d1 / (r0 - r1), combine([r0, slope(1)], [-r1, slope(0)])],
      [(2 * weights.d2) / (r0 - r1), combine([1, slope(0)], [-1, slope(1)])],
    );
  }
}
