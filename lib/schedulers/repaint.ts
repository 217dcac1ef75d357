import { invalidArgument } from '../errors.js';
import type { BetaSchedule } from './betas.js';
import { type CompileOptions, optionInRange, resolveSteps } from './compiled.js';
import type { SchedulerConfig } from './config.js';
import { ddimSample } from './ddim-step.js';
import { combine, slot } from './linear.js';
import { type PredictionType, predictX0 } from './prediction.js';
import { Scheduler } from './scheduler.js';
import type { RunContext, Schedule, SchedulerClass } from './scheduler-class.js';
import { TABLE_LIMITS } from './table.js';

/** diffusers' numbers, which are the paper's. */
const JUMPS = { jumpLength: 10, jumpNSample: 10 };

/**
 * RePaint (Lugmayr et al. 2022; diffusers' RePaintScheduler): a model of whole pictures repaints a part of one. Each call
 * is a step of DDIM, after which what is to stay is the picture's again, noised with the draw of the step. Every
 * `jumpLength` steps the sample is noised back up by as many, so that both parts come to fit each other; what lies between is
 * denoised `jumpNSample` times in all. A turn back stands for no call, and draws noise for each training step. The model
 * predicts noise.
 */
export class RePaintScheduler extends Scheduler {
  static override readonly className: string = 'RePaintScheduler';
  static override readonly runOptions: SchedulerClass['runOptions'] = ['jumpLength', 'jumpNSample'];
  static override readonly defaults: SchedulerConfig = {
    num_train_timesteps: 1000,
    beta_start: 0.0001,
    beta_end: 0.02,
    beta_schedule: 'linear',
    eta: 0,
    trained_betas: null,
    clip_sample: true,
  };

  override readonly takesEta = true;
  override readonly repaints = true;

  protected override betaSchedules(): readonly BetaSchedule[] {
    return ['linear', 'scaled_linear', 'squaredcos_cap_v2', 'sigmoid'];
  }

  protected override predictionTypes(): readonly PredictionType[] {
    return ['epsilon'];
  }

  protected override schedule(options: CompileOptions): Schedule {
    const steps = resolveSteps(this.className, options, this.trainSteps, []);
    if (options.strengthStart) {
      throw invalidArgument('strengthStart', `cannot be used with ${this.className}, which goes all the way`);
    }
    const stride = Math.floor(this.trainSteps / steps);
    const timesteps = turns(steps, { ...JUMPS, ...options }, stride).map((step) => step * stride);
    const isBack = (turn: number) =>
      turn > 0 && (timesteps[turn] as number) > (timesteps[turn - 1] as number);
    return { timesteps, called: [...timesteps.keys()].filter((turn) => !isBack(turn)) };
  }

  protected override emit({ timesteps, called = [], steps, options, builder }: RunContext): void {
    const eta = optionInRange('eta', options.eta, this.fields.number('eta'), 0, 1);
    const limit = this.fields.flag('clip_sample') ? { clamp: 1 } : {};
    const stride = Math.floor(this.trainSteps / steps);
    const isCalled = new Set(called);
    for (const [turn, timestep] of timesteps.entries()) {
      if (!isCalled.has(turn)) {
        this.#noise(builder, timesteps[turn - 1] as number, stride);
        continue;
      }
      const alpha = this.alphaAt(timestep);
      const alphaPrevious = timestep >= stride ? this.alphaAt(timestep - stride) : 1;
      const variance = ((1 - alphaPrevious) / (1 - alpha)) * (1 - alpha / alphaPrevious);
      const deviation = eta * Math.sqrt(variance);
      const scales = { alpha: Math.sqrt(alpha), sigma: Math.sqrt(1 - alpha) };
      builder.add({
        timestep,
        x0: { ...predictX0(this.predictionType, scales), ...limit },
        assign: [['x', ddimSample(alphaPrevious, deviation)]],
        noise: builder.draw(),
        blend: { init: Math.sqrt(alphaPrevious), noise: Math.sqrt(1 - alphaPrevious), redrawn: true },
      });
    }
  }

  /** A turn back from a timestep, as in training. */
  #noise(builder: RunContext['builder'], from: number, stride: number): void {
    for (let timestep = from; timestep < from + stride; timestep++) {
      const beta = this.betas[timestep] as number;
      builder.addBehind({
        timestep,
        x0: { x: 1, m: 0 },
        assign: [['x', combine([Math.sqrt(1 - beta), slot('x')], [Math.sqrt(beta), slot('noise')])]],
        noise: builder.draw(),
      });
    }
  }
}

/** The steps of all turns, counted from the clean end: down one by one, and up again where a jump begins. */
function turns(
  steps: number,
  { jumpLength, jumpNSample }: Required<Pick<CompileOptions, 'jumpLength' | 'jumpNSample'>>,
  stride: number,
): number[] {
  const jumps = new Map<number, number>();
  for (let step = 0; step < steps - jumpLength; step += jumpLength) jumps.set(step, jumpNSample - 1);
  const list: number[] = [];
  let rows = 0;
  for (let step = steps - 1; step >= 0; step--) {
    list.push(step);
    const left = jumps.get(step) ?? 0;
    rows += left > 0 ? 1 + jumpLength * stride : 1;
    if (rows > TABLE_LIMITS.rows) {
      throw invalidArgument(
        'schedulerOptions',
        `have jumps that make too long a run (jumpLength ${jumpLength}, jumpNSample ${jumpNSample}, ${steps} steps); use fewer`,
      );
    }
    if (left === 0) continue;
    jumps.set(step, left - 1);
    for (let i = 0; i < jumpLength; i++) list.push(++step);
  }
  return list;
}
