import { Callbacks } from '../../callbacks.js';
import { attachPrograms, branchCount, SettingsPolicy, withForecasts } from '../../deepcache/index.js';
import { invalidArgument } from '../../errors.js';
import { guidanceOfCalls, withAverage } from '../../guidance/calls.js';
import { refuseGate, requireGuided } from '../../guidance/gated.js';
import { degrades, withSignals } from '../../guidance/self-attention.js';
import type { UNetModel } from '../../models/unet.js';
import { finish } from '../../native/device.js';
import { stagedRequest } from '../../native/staging.js';
import type { DenoiseRequest, DenoiseResult } from '../../native/types.js';
import { LatentPreview } from '../../previews/latent-preview.js';
import type { PreviewLook } from '../../previews/look.js';
import type {
  CompiledSchedule,
  CompileOptions,
  NoiseLevel,
  SamplerOptions,
  Scheduler,
} from '../../schedulers/index.js';
import { checkSamplerOptions } from '../../schedulers/run-options.js';
import { FloatTensor } from '../../tensor.js';
import type { RunOptions, RunSpan } from '../inputs/options.js';
import { stepsOfStrength } from '../inputs/strength.js';
import type { ModelFacts } from '../loading/facts.js';
import type { StepEvent } from '../outputs/result.js';
import { callNumbers, kindOf, type RanCall, ranCalls } from './calls.js';
import { type ConductedRun, type Conductor, callsOf } from './conductor.js';
import type { RunPlan } from './plan.js';
import { partOf, withUsedDraws } from './schedule-part.js';

/** Compiles scheduler and cache policy into the table that the native loop executes. */
export function planRun(
  scheduler: Scheduler,
  {
    levels,
    layersPerBlock,
    contextWidth,
  }: Pick<ModelFacts, 'levels' | 'layersPerBlock'> & Partial<Pick<ModelFacts, 'contextWidth'>>,
  options: RunOptions,
  note: (message: string) => void,
): RunPlan {
  const { steps, eta, timesteps, sigmas, cache = false } = options;
  if (scheduler.repaints && !options.repaints) {
    throw invalidArgument(
      'scheduler',
      `${scheduler.className} repaints a part of a picture, with DDPM models: give them an image and a maskImage`,
    );
  }
  const compiled = compileSpan(
    scheduler,
    options.span,
    {
      ...(timesteps || sigmas ? {} : { steps }),
      // diffusers' pipelines always say one, to samplers that take it.
      ...(scheduler.takesEta && { eta: eta ?? 0 }),
      ...(timesteps && { timesteps }),
      ...(sigmas && { sigmas }),
      ...samplerOptions(scheduler, options),
    },
    steps,
  );
  if (eta && !scheduler.takesEta) note(`eta ${eta} is not used: ${scheduler.className} does not take it`);
  if (options.guidanceRescale > 0 && !options.guided) {
    note(`guidanceRescale ${options.guidanceRescale} is not used: this run has no guidance`);
  }
  const policy = options.policy ?? new SettingsPolicy(cache);
  const layout = policy.layout({
    ...compiled,
    branches: branchCount(levels, layersPerBlock),
    stepCalls: scheduler.order * (compiled.steps.at(-1) as number),
  });
  if (layout.note) note(layout.note);
  if (options.frames !== undefined) refuseGate(layout.calls, 'one of videos');
  else if (contextWidth === 0) refuseGate(layout.calls, 'one without');
  const rows = withUsedDraws(compiled.rows, compiled.noiseUsed);
  const placed = withForecasts({ ...compiled, rows }, layout.calls);
  const guide = withAverage(guidanceOfCalls(options, compiled.timesteps), placed);
  requireGuided(placed.calls, guide, options);
  const own = degrades(options) ? withSignals(placed.rows, compiled.noiseLevels) : placed.rows;
  return { table: attachPrograms(own, placed.calls, guide), compiled };
}

/** What the options have for the sampler alone. */
export function samplerOptions(
  { className, runOptions: known }: Scheduler,
  { schedulerOptions }: Pick<RunOptions, 'schedulerOptions'>,
): SamplerOptions {
  return checkSamplerOptions(schedulerOptions, { className, known });
}

/** Compiles the part of a schedule that a run takes. */
function compileSpan(
  scheduler: Scheduler,
  { stepsToRun, originStrength, denoisingStart, denoisingEnd }: RunSpan,
  options: CompileOptions,
  steps: number,
): CompiledSchedule {
  // diffusers: a fraction of the training schedule, counted from its noisy end.
  const cutoff = (fraction: number) => Math.round(scheduler.trainSteps - fraction * scheduler.trainSteps);
  let compiled: CompiledSchedule;
  if (denoisingStart !== undefined) {
    const whole = scheduler.compile(options).timesteps;
    let count = whole.filter((timestep) => timestep < cutoff(denoisingStart)).length;
    // A second-order sampler visits all timesteps but the first twice.
    if (scheduler.order === 2 && count % 2 === 0) count++;
    if (count < 1 || count > whole.length) {
      throw invalidArgument('denoisingStart', `${denoisingStart} leaves no step of ${steps} to run`);
    }
    // The latents are noised already.
    const { startAddNoise: _, ...rest } = scheduler.compile({
      ...options,
      strengthStart: whole.length - count,
    });
    compiled = rest;
  } else if (originStrength !== undefined) {
    compiled = compileOrigin(scheduler, originStrength, options, steps);
  } else {
    const start = stepsToRun === undefined ? undefined : (steps - stepsToRun) * scheduler.order;
    compiled = scheduler.compile({ ...options, ...(start !== undefined && { strengthStart: start }) });
  }
  if (denoisingEnd === undefined) return compiled;
  const count = compiled.timesteps.filter((timestep) => timestep >= cutoff(denoisingEnd)).length;
  if (count < 1) throw invalidArgument('denoisingEnd', `${denoisingEnd} leaves no step of ${steps} to run`);
  return partOf(compiled, 0, count);
}

/** From a picture with a sampler that begins lower by itself. */
function compileOrigin(
  scheduler: Scheduler,
  strength: number,
  options: CompileOptions,
  steps: number,
): CompiledSchedule {
  if (!scheduler.runOptions.includes('strength')) {
    throw invalidArgument(
      'scheduler',
      'must be LCM or TCD here: image to image with latent consistency models shortens what they were distilled on',
    );
  }
  if (options.strength !== undefined)
    throw invalidArgument('schedulerOptions', 'has a strength, which is the option strength here');
  // Of a list of one's own the last ones, as many as the strength leaves.
  if (options.timesteps)
    return scheduler.compile({ ...options, strengthStart: steps - stepsOfStrength(strength, steps) });
  return scheduler.compile({ ...options, strength, strengthStart: 0 });
}

/**
 * Runs the loop natively and reports its U-Net calls. An error of `onStep`, thrown or of a promise that it returned, ends it;
 * the run waits for such promises.
 *
 * @param look must be given with `previewEvery`.
 */
export async function runLoop(
  unet: UNetModel,
  request: DenoiseRequest,
  { compiled }: RunPlan,
  {
    onStep,
    previewEvery,
    latentsEvery,
    signal,
    conductor,
  }: Pick<RunOptions, 'onStep' | 'previewEvery' | 'latentsEvery' | 'signal'> & {
    readonly conductor?: Conductor | undefined;
  },
  look?: PreviewLook,
): Promise<DenoiseResult & { calls: RanCall[] }> {
  const stop = new AbortController();
  const callbacks = new Callbacks((error) => stop.abort(error));
  const signals = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal;
  const { height, width, batch } = request;
  const shape = [batch, unet.native.outChannels, height, width];
  const every = { ...(previewEvery && { previewEvery }), ...(latentsEvery && { latentsEvery }) };
  const conducted = conductor?.enter(conductedRun(unet, request));
  const joined = conducted && { join: conducted.number };
  const calls = callNumbers(request.table);
  const start = (arrays: DenoiseRequest) =>
    unet.native.denoise({ ...arrays, ...every, ...joined }, (step) => {
      if (step.row < 0) return conducted?.ready();
      conducted?.ran(step.milliseconds);
      const call = calls[step.row];
      if (call === undefined || stop.signal.aborted) return;
      const kind = kindOf(request.table, step.program);
      const event: StepEvent = {
        step: compiled.steps[call] as number,
        steps: compiled.steps.at(-1) as number,
        call: call + 1,
        calls: compiled.timesteps.length,
        full: kind === 'full',
        kind,
        timestep: compiled.timesteps[call] as number,
        noiseLevel: compiled.noiseLevels[call] as NoiseLevel,
        seconds: step.milliseconds / 1000,
        ...(step.x0 && look && { preview: new LatentPreview(step.x0, shape, look) }),
        ...(step.x && { latents: new FloatTensor(step.x, shape) }),
      };
      callbacks.run(() => onStep?.(event));
    });
  try {
    const arrays = await stagedRequest(request, signals);
    const result = await finish(() => start(arrays), signals);
    // The last call's callback comes after its result is under way.
    await callbacks.settled(signal);
    return { ...result, calls: ranCalls(request, result) };
  } catch (error) {
    // An abort has no reason when nothing was thrown: `undefined` is what was.
    callbacks.throwIfFailed();
    throw error;
  } finally {
    conducted?.leave();
  }
}

function conductedRun(unet: UNetModel, request: DenoiseRequest): ConductedRun {
  const { batch, outputs, height, width, table, frames = 1, contextLength = 0 } = request;
  const { controls, blockFeatures, imagePrompts = [] } = request;
  const tokens = imagePrompts.map(({ length }) => length);
  return {
    tick: (runs) => unet.native.tick(runs),
    calls: callsOf(table),
    samples: batch * outputs,
    pixels: height * width,
    shape: JSON.stringify([height, width, contextLength, frames, tokens, !!(controls || blockFeatures)]),
  };
}
