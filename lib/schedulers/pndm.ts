import { DeepCacheError } from '../errors.js';
import { ADAMS_BASHFORTH } from './adams-bashforth.js';
import { type CompileOptions, resolveSteps } from './compiled.js';
import { type SchedulerConfig, TRAINING_DEFAULTS } from './config.js';
import { combine, type Linear, ring, slot } from './linear.js';
import { type PredictionType, predictX0 } from './prediction.js';
import { Scheduler } from './scheduler.js';
import type { RunContext, Schedule } from './scheduler-class.js';
import { spaceTimesteps, TIMESTEP_SPACINGS, type TimestepSpacing } from './spacing.js';
import type { Assignment } from './table.js';

const HISTORY = 4;
/** Three Runge-Kutta steps of four calls each. */
const PRK_CALLS = 12;
/** The sample that a multi-call step started from. */
const BASE = 's4';
/** PRK's weighted sum of the outputs so far. */
const SUM = 's5';

/**
 * Pseudo numerical methods (Liu et al. 2022). PLMS, the fourth-order linear multistep method, starts with two calls
 * for its first step; with skip_prk_steps = false three Runge-Kutta steps of four calls each come first. So a run of n
 * steps has n + 1 (PLMS) or n + 9 U-Net calls, and some timesteps are visited twice.
 *
 * A run that starts in the middle (image to image) begins with an empty history, as in diffusers.
 */
export class PNDMScheduler extends Scheduler {
  static override readonly className: string = 'PNDMScheduler';
  static override readonly defaults: SchedulerConfig = {
    ...TRAINING_DEFAULTS,
    skip_prk_steps: false,
    set_alpha_to_one: false,
    timestep_spacing: 'leading',
  };

  readonly #skipPrk: boolean;
  readonly #spacing: TimestepSpacing;
  readonly #finalAlpha: number;

  constructor(config?: SchedulerConfig) {
    super(config);
    this.#skipPrk = this.fields.flag('skip_prk_steps');
    this.#spacing = this.fields.choice('timestep_spacing', TIMESTEP_SPACINGS);
    this.#finalAlpha = this.fields.flag('set_alpha_to_one') ? 1 : this.alphaAt(0);
  }

  protected override predictionTypes(): readonly PredictionType[] {
    return ['epsilon', 'v_prediction'];
  }

  protected override schedule(options: CompileOptions): Schedule {
    const { trainSteps } = this;
    const steps = resolveSteps(this.className, options, trainSteps, []);
    const stepsOffset = this.fields.number('steps_offset');
    const spaced = spaceTimesteps({ spacing: this.#spacing, steps, trainSteps, stepsOffset });
    if (this.#skipPrk) return { timesteps: repeatSecond(spaced) };
    const half = Math.floor(this.#stride(steps) / 2);
    return { timesteps: [...prkTimesteps(spaced, half), ...spaced.slice(3)] };
  }

  #stride(steps: number): number {
    return Math.floor(this.trainSteps / steps);
  }

  protected override stepOf(call: number): number {
    if (this.#skipPrk) return Math.max(1, call);
    return call < PRK_CALLS ? Math.floor(call / 4) + 1 : call - PRK_CALLS + 4;
  }

  protected override emit(run: RunContext): void {
    const prkCalls = this.#skipPrk ? 0 : PRK_CALLS;
    for (let call = 0; run.start + call < run.timesteps.length; call++) {
      if (call < prkCalls) this.#emitPrk(run, call);
      else this.#emitPlms(run, call, prkCalls);
    }
  }

  /** One of the four evaluations of a Runge-Kutta step; the weights are 1/6, 1/3, 1/3, 1/6. */
  #emitPrk({ timesteps, steps, start, builder }: RunContext, call: number): void {
    const stage = call % 4;
    const timestep = timesteps[start + call] as number;
    // The first and third stage step to the middle of the interval, the others to the timestep of the call.
    const previous = timestep - (stage % 2 === 0 ? Math.floor(this.#stride(steps) / 2) : 0);
    const from = timesteps[call - stage] as number;
    const output: Linear = stage < 3 ? { m: 1 } : { [SUM]: 1, m: 1 / 6 };
    const base = stage === 0 ? 'x' : BASE;
    const next = this.#transfer(base, from, previous, output);
    const sum: Linear = stage === 0 ? { m: 1 / 6 } : { [SUM]: 1, m: 1 / 3 };
    const assign: [Assignment['to'], Linear][] = [];
    if (stage === 0) assign.push([ring(call / 4, HISTORY), slot('m')], [BASE, slot('x')]);
    if (stage < 3) assign.push([SUM, sum]);
    builder.add({ timestep, x0: this.#x0(timestep), assign: [...assign, ['x', next]] });
  }

  #emitPlms({ timesteps, steps, start, builder }: RunContext, call: number, prkCalls: number): void {
    const timestep = timesteps[start + call] as number;
    const stride = this.#stride(steps);
    // How many outputs the history already holds. Call 1 repeats the step of call 0 with a better estimate and is not
    // kept itself.
    const kept = prkCalls > 0 ? 3 + (call - prkCalls) : Math.max(call - 1, Math.min(call, 1));
    const past = (back: number): Linear => slot(ring(kept + HISTORY - back, HISTORY));
    if (call === 1 && prkCalls === 0) {
      const output = combine([1 / 2, slot('m')], [1 / 2, past(1)]);
      const next = this.#transfer(BASE, timestep + stride, timestep, output);
      builder.add({ timestep, x0: this.#x0(timestep), assign: [['x', next]] });
      return;
    }
    const outputs = [slot('m'), past(1), past(2), past(3)];
    const weights = ADAMS_BASHFORTH[Math.min(kept, HISTORY - 1)] as readonly number[];
    const output = combine(...weights.map((weight, i) => [weight, outputs[i] as Linear] as const));
    const next = this.#transfer('x', timestep, timestep - stride, output);
    const assign: [Assignment['to'], Linear][] = [[ring(kept, HISTORY), slot('m')]];
    if (call === 0) assign.push([BASE, slot('x')]);
    builder.add({ timestep, x0: this.#x0(timestep), assign: [...assign, ['x', next]] });
  }

  #x0(timestep: number): { x: number; m: number } {
    const alpha = this.alphaAt(timestep);
    return predictX0(this.predictionType, { alpha: Math.sqrt(alpha), sigma: Math.sqrt(1 - alpha) });
  }

  /** The sample at `to` from the sample in slot `base` at `from` and an output (equation 9 of the paper). */
  #transfer(base: 'x' | typeof BASE, from: number, to: number, output: Linear): Linear {
    const alpha = this.alphaAt(from);
    const alphaTo = to >= 0 ? this.alphaAt(to) : this.#finalAlpha;
    const sample = slot(base);
    const epsilon =
      this.predictionType === 'v_prediction'
        ? combine([Math.sqrt(alpha), output], [Math.sqrt(1 - alpha), sample])
        : output;
    const denominator = alpha * Math.sqrt(1 - alphaTo) + Math.sqrt(alpha * (1 - alpha) * alphaTo);
    return combine([Math.sqrt(alphaTo / alpha), sample], [-(alphaTo - alpha) / denominator, epsilon]);
  }
}

function repeatSecond(spaced: number[]): number[] {
  return spaced.length < 2 ? spaced : [...spaced.slice(0, 2), ...spaced.slice(1)];
}

/** Each of the three steps runs at t, twice at t - half and at the next t (Runge-Kutta's four stages). */
function prkTimesteps(spaced: number[], half: number): number[] {
  if (spaced.length < 4) {
    throw new DeepCacheError(
      'ERR_DEEPCACHE_INVALID_ARGUMENT',
      'steps must be at least 4 for PNDMScheduler with skip_prk_steps = false',
    );
  }
  return [0, 1, 2].flatMap((i) => {
    const next = spaced[i + 1] as number;
    return [spaced[i] as number, next + half, next + half, next];
  });
}
