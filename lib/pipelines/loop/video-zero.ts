import { attachPrograms, type Layout, SettingsPolicy, withForecasts } from '../../deepcache/index.js';
import { DeepCacheError } from '../../errors.js';
import { refuseGate } from '../../guidance/gated.js';
import type { HistorySlots } from '../../native/types.js';
import type { CompiledSchedule, NoiseLevel, Scheduler } from '../../schedulers/index.js';
import { inSlices, mapParts } from '../../slices.js';
import { joined, repeatRows } from '../../tensor.js';
import type { NoiseSource } from '../inputs/noise.js';
import type { RunOptions } from '../inputs/options.js';
import type { PipelineParts } from '../loading/parts.js';
import { runLoop, samplerOptions } from './denoise.js';
import { warpLatents } from './motion.js';
import type { LoopResult } from './plan.js';
import { partOf, withUsedDraws } from './schedule-part.js';

/** The latents on the way, for tests. */
export interface VideoZeroTrace {
  /** Of the first frame at t1 and t0, and of all frames at t1. */
  firstAtT1: Float32Array;
  firstAtT0: Float32Array;
  allAtT1: Float32Array;
}

/** What the three loops are made from. */
export interface VideoZeroRun {
  options: Pick<
    RunOptions,
    'steps' | 'eta' | 'cache' | 'schedulerOptions' | 'onStep' | 'latentsEvery' | 'signal'
  > & { guidanceScale: number };
  scheduler: Scheduler;
  /** The whole schedule, of which each loop takes a part. */
  compiled: CompiledSchedule;
  frames: number;
  frameIds: readonly number[];
  motion: { x: number; y: number };
  t0: number;
  t1: number;
  /** [1, c, h, w] */
  latent: readonly [number, number, number, number];
  /** [negative, positive], one of each. */
  context: Float32Array;
  contextLength: number;
  guided: boolean;
  noise: NoiseSource;
  latents: Float32Array | undefined;
  forwardNoise: Float32Array | undefined;
  note: (message: string) => void;
}

/** The latents of all frames. Each loop is a run of its own, so that no cached feature crosses from one to the next. */
export async function denoiseVideo(
  { unet }: Pick<PipelineParts, 'unet'>,
  run: VideoZeroRun,
): Promise<LoopResult & { trace: VideoZeroTrace }> {
  const { scheduler, compiled, options, frames, latent, guided, noise, t0, t1 } = run;
  const { signal } = options;
  const calls = compiled.rows.length;
  const layout = layoutOfLoops(compiled, options, unet.native.branches);
  if (layout.note) run.note(layout.note);
  const loop = async (
    [from, to]: [number, number],
    x: Float32Array,
    { batch, slots }: { batch: number; slots: HistorySlots },
  ) => {
    const plan = planLoop(layout, [from, to], run);
    const count = latent[1] * latent[2] * latent[3];
    const draws: Float32Array[] = [];
    for (const used of compiled.noiseUsed.slice(plan.firstDraw, plan.endDraw)) {
      const drawn = await noise.drawRows(batch, count, signal);
      if (used) draws.push(drawn);
    }
    const outputs = guided ? 2 : 1;
    const request = {
      batch,
      frames: batch,
      outputs: outputs as 1 | 2,
      height: latent[2],
      width: latent[3],
      table: plan.table,
      latents: x,
      slots,
      ...(draws.length > 0 && { noise: await inSlices(joined(draws), signal) }),
      context: await inSlices(repeatRows(run.context, outputs, batch), signal),
      contextLength: run.contextLength,
    };
    return runLoop(unet, request, plan, options);
  };

  const count = latent[1] * latent[2] * latent[3];
  const unit = run.latents ?? (await noise.drawRows(1, count, signal));
  const scaled = mapParts(unit, (value) => value * compiled.initNoiseSigma);
  const start = await inSlices(scaled, signal);
  const [atT1, atT0] = [calls - t1 - 1, calls - t0 - 1];
  const first = await loop([0, atT1], start, { batch: 1, slots: {} });
  const second = await loop([atT1, atT0], first.latents, { batch: 1, slots: first.slots });
  signal?.throwIfAborted();

  const repeat = (values: Float32Array, times: number) => inSlices(repeatRows(values, 1, times), signal);
  const shape = [frames - 1, ...latent.slice(1)];
  const copies = { data: await repeat(second.latents, frames - 1), shape };
  const moved = warpLatents(
    copies,
    run.frameIds.slice(1).map((id) => ({ x: run.motion.x * id, y: run.motion.y * id })),
  );
  const normal = run.forwardNoise ?? (await noise.drawRows(frames - 1, count, signal));
  const mix = mixBetween(scheduler, compiled, atT0, atT1);
  const noised = mapParts(
    moved.data,
    (value, i) => mix.sqrtAlpha * value + mix.sigma * (normal[i] as number),
  );
  const others = await inSlices(noised, signal);
  const all = await inSlices(joined([first.latents, others]), signal);
  // The sampler's memory is the first frame's at t1, for all of them.
  const slots: HistorySlots = {};
  for (const [name, values] of Object.entries(first.slots)) {
    slots[name as keyof HistorySlots] = await repeat(values, frames);
  }
  const third = await loop([atT1, calls], all, { batch: frames, slots });
  const trace: VideoZeroTrace = { firstAtT1: first.latents, firstAtT0: second.latents, allAtT1: all };
  return {
    latents: third.latents,
    trace,
    calls: [first, second, third].flatMap((part) => part.calls),
  };
}

/** What each loop computes, from its first call on: the cache begins anew, with the schedule of all calls. */
export function layoutOfLoops(
  { timesteps }: CompiledSchedule,
  { cache = false }: Pick<RunOptions, 'cache'>,
  branches: number,
): Layout {
  const layout = new SettingsPolicy(cache).layout({ timesteps, schedulerTimesteps: timesteps, branches });
  refuseGate(layout.calls, 'one of videos');
  return layout;
}

/** Part of the schedule as a run of its own, and the schedule's draws that it makes. */
function planLoop(
  layout: Layout,
  [from, to]: [number, number],
  { compiled, options, guided }: Pick<VideoZeroRun, 'compiled' | 'options' | 'guided'>,
) {
  const { noiseUsed } = compiled;
  const [firstDraw, endDraw] = [drawsBefore(compiled, from), drawsBefore(compiled, to)];
  const part = partOf(compiled, from, to);
  const guidance = guided ? { scale: options.guidanceScale, rescale: 0 } : undefined;
  const placed = withForecasts(
    { ...part, rows: withUsedDraws(part.rows, noiseUsed, firstDraw) },
    layout.calls.slice(0, to - from),
  );
  return {
    table: attachPrograms(placed.rows, placed.calls, guidance),
    compiled: part,
    firstDraw,
    endDraw,
  };
}

/** The whole schedule of a video. */
export function compileWhole(
  scheduler: Scheduler,
  { steps, eta, schedulerOptions }: Pick<RunOptions, 'steps' | 'eta' | 'schedulerOptions'>,
): CompiledSchedule {
  const compiled = scheduler.compile({
    steps,
    ...(scheduler.takesEta && { eta: eta ?? 0 }),
    ...samplerOptions(scheduler, { ...(schedulerOptions && { schedulerOptions }) }),
  });
  const refuse = (why: string) => {
    throw new DeepCacheError('ERR_DEEPCACHE_UNSUPPORTED', `scheduler: ${scheduler.className} ${why}`);
  };
  if (compiled.motion) refuse('draws along one motion, which the loops of a video cannot share');
  const [first, last] = [compiled.noiseLevels[0], compiled.noiseLevels.at(-1)] as [NoiseLevel, NoiseLevel];
  if (first.sigma < last.sigma)
    refuse('goes from pictures to noise; a video needs one that goes the other way');
  return compiled;
}

/** The draws that are made before a call. */
function drawsBefore({ noiseDraws, noiseUsed, rows }: CompiledSchedule, call: number): number {
  // Where all are used, rows say which they are; the others are made by every step alike.
  if (noiseUsed.every((used) => used))
    return rows.slice(0, call).filter(({ noise }) => noise !== undefined).length;
  return Math.round((noiseDraws * call) / rows.length);
}

/** What the latents before one call and noise are mixed with to be those before an earlier one. */
function mixBetween(
  { alphasCumprod }: Scheduler,
  { timesteps, noiseLevels }: CompiledSchedule,
  from: number,
  to: number,
): NoiseLevel {
  const [start, end] = [timesteps[from], timesteps[to]] as [number, number];
  const [less, more] = [noiseLevels[from], noiseLevels[to]] as [NoiseLevel, NoiseLevel];
  const isOfTraining = alphasCumprod.length > 0 && Number.isInteger(start) && Number.isInteger(end);
  if (isOfTraining && keepsVariance(less) && keepsVariance(more)) {
    // diffusers: forward_loop, which is a training timestep off at both ends.
    const alpha = (alphasCumprod[end - 1] as number) / (start > 0 ? (alphasCumprod[start - 1] as number) : 1);
    return { sqrtAlpha: Math.sqrt(alpha), sigma: Math.sqrt(1 - alpha) };
  }
  const sqrtAlpha = more.sqrtAlpha / less.sqrtAlpha;
  return { sqrtAlpha, sigma: Math.sqrt(Math.max(0, more.sigma ** 2 - (sqrtAlpha * less.sigma) ** 2)) };
}

/** Whether latents are mixed so that their variance stays 1, as diffusers' forward_loop takes for granted. */
const keepsVariance = ({ sqrtAlpha, sigma }: NoiseLevel) => Math.abs(sqrtAlpha ** 2 + sigma ** 2 - 1) < 1e-3;
