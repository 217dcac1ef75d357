import { attachPrograms, fullCalls, resolveCache } from '../../deepcache/index.js';
import { DeepCacheError, invalidArgument } from '../../errors.js';
import type { AutoencoderKL } from '../../models/autoencoder-kl.js';
import type { HistorySlots } from '../../native/types.js';
import { checkTensor, requireShapes, whole } from '../../options/checks.js';
import type { OptionsOf } from '../../options/spec/index.js';
import type { CompiledSchedule } from '../../schedulers/index.js';
import { inSlices, mapParts } from '../../slices.js';
import { FloatTensor, joined, repeatRows } from '../../tensor.js';
import { contextOf, encodePrompts, readPrompts } from '../conditioning/prompt.js';
import { DiffusionPipeline } from '../diffusion-pipeline.js';
import { NoiseSource } from '../inputs/noise.js';
import { type ResolvedOptions, resolveOptions } from '../inputs/options.js';
import { seedsOf, tellSeeds } from '../inputs/seeds.js';
import { checkInputs } from '../loading/fit.js';
import type { ModelIndex } from '../loading/model-index.js';
import { type Components, type LoadOptions, loadComponents } from '../loading/parts.js';
import { registerPipeline } from '../loading/registry.js';
import { runLoop, samplerOptions } from '../loop/denoise.js';
import { estimateMemory, requireMemory } from '../loop/memory.js';
import { warpLatents } from '../loop/motion.js';
import { decodeFrames } from '../outputs/decode.js';
import { toImages } from '../outputs/pixels.js';
import { type GenerateResult, runResult } from '../outputs/result.js';
import { endFields, recipeOf, samplerFields, settingsText } from '../outputs/settings.js';
import { PhaseClock, runStats } from '../outputs/stats.js';

/** Options of Text2Video-Zero. Names are diffusers', in camelCase; there is one prompt. */
export interface TextToVideoZeroOptions extends OptionsOf<'zero'> {}

/** Two loops for the first frame and one for all of them, of a call each. */
const LEAST_CALLS = 3;

/** The latents on the way, for tests. */
export interface VideoZeroTrace {
  /** Of the first frame at t1 and t0, and of all frames at t1. */
  firstAtT1: Float32Array;
  firstAtT0: Float32Array;
  allAtT1: Float32Array;
}

/**
 * Text to video with an image model (Khachatryan et al. 2023): the first frame is denoised half way, moved and noised
 * again to make the others, then all frames are denoised together, taking the keys and values of self attention from
 * the first. Made from a loaded pipeline: `TextToVideoZeroPipeline.from(pipe)`. The result's images are the frames.
 */
export class TextToVideoZeroPipeline extends DiffusionPipeline<TextToVideoZeroOptions, Components> {
  static override readonly className: string = 'TextToVideoZeroPipeline';
  static override readonly parts: readonly string[] = ['unet', 'vae', 'textEncoder', 'tokenizer'];

  /** @internal */
  static load(index: ModelIndex, options: LoadOptions): Promise<Components> {
    return loadComponents(index, options);
  }

  get vae(): AutoencoderKL {
    return this.components.vae;
  }

  protected override checkParts(what: string): void {
    const [inputs, latents] = [this.unet.inChannels, this.vae.latentChannels];
    checkInputs(what, { inputs, latents, takesMask: false });
    if (this.unet.timeCondWidth > 0) {
      throw new DeepCacheError(
        'ERR_DEEPCACHE_UNSUPPORTED',
        `Text2Video-Zero does not take U-Nets with the guidance scale as an input (time_cond_proj_dim), as ${what} has`,
      );
    }
  }

  protected override readonly warmupSteps: number = LEAST_CALLS;

  protected override check(options: TextToVideoZeroOptions): void {
    this.#resolve(options);
  }

  protected override async run(given: TextToVideoZeroOptions): Promise<GenerateResult> {
    const { resolved, frames, ...video } = this.#resolve(given);
    const { width, height, signal, output } = resolved;
    const notes: string[] = [];
    const note = (message: string) => notes.push(message);
    const clock = new PhaseClock();
    const guided = resolved.guidanceScale > 1;
    const latent = [1, this.vae.latentChannels, height / this.vae.scale, width / this.vae.scale] as const;
    const tokens = await readPrompts(this.components, resolved, guided, note);
    const size = { height: latent[2], width: latent[3], contextLength: tokens.length };
    requireMemory(
      this.components,
      await estimateMemory(
        this.components,
        { batch: (guided ? 2 : 1) * frames, ...size },
        { encodes: false, decodes: output !== 'latent', tiling: undefined, signal },
      ),
    );
    const prompt = await encodePrompts(this.components, tokens, resolved);
    clock.lap('encode');

    const noise = new NoiseSource(seedsOf(resolved), 1);
    const loops = await denoiseVideo(this.components, {
      ...video,
      scheduler: this.schedulerFor(resolved),
      options: resolved,
      frames,
      latent,
      context: await contextOf(prompt, signal),
      contextLength: prompt.length,
      guided,
      noise,
      latents: given.latents && (await checkTensor('latents', given.latents, latent, signal)).data,
      forwardNoise:
        given.forwardNoise &&
        (await checkTensor('forwardNoise', given.forwardNoise, [frames - 1, ...latent.slice(1)], signal))
          .data,
      note,
    });
    clock.lap('denoise');

    const result = new FloatTensor(loops.latents, [frames, ...latent.slice(1)]);
    const tensor = output === 'latent' ? result : await decodeFrames(this.vae, result, 1, signal);
    const settings = settingsText(
      recipeOf({ ...resolved, numImages: 1, batch: 1 }, noise.seeds, 0, {
        sampler: samplerFields(this.schedulerFor(resolved), resolved),
        own: {
          Frames: video.frameIds.join(' '),
          'Motion field': `${video.motion.x} ${video.motion.y}`,
          'Turning points': `${video.t0} ${video.t1}`,
          'Forward noise': given.forwardNoise && 'given',
        },
        end: endFields(this.components, resolved.cache),
      }),
    );
    const images = output === 'image' ? await toImages(tensor, signal) : [];
    for (const image of images) image.metadata = { parameters: settings };
    clock.lap('decode');
    const [unet, vae] = [this.unet.memory(), this.vae.memory()];
    return runResult({
      images,
      ...(output !== 'image' && { tensor }),
      settings: [settings],
      seeds: tellSeeds(noise.seeds),
      stats: runStats(clock, loops.full, loops.rowMilliseconds, {
        weights: unet.weights + vae.weights + this.components.textEncoder.weightBytes,
        arenas: unet.arena + vae.peakArena,
        buffers: unet.buffers,
      }),
      notes,
    });
  }

  #resolve(options: TextToVideoZeroOptions) {
    const { sampleWidth, sampleHeight } = this.unet;
    const resolved = resolveOptions('zero', options, {
      width: sampleWidth * this.vae.scale,
      height: sampleHeight * this.vae.scale,
      scale: this.vae.scale,
      textLayers: this.components.textEncoder.layers,
      tileSize: this.vae.sampleSize,
    });
    if (resolved.promptCount !== 1) throw invalidArgument('prompt', 'must be one text: it makes one video');
    const { rows } = compileWhole(this.schedulerFor(resolved), resolved);
    const { cache = false, steps, width, height } = resolved;
    this.unet.validateBranch(resolveCache(cache, steps).settings?.branch ?? 0);
    const video = resolveVideo(options, { steps, calls: rows.length });
    const latent = [this.vae.latentChannels, height / this.vae.scale, width / this.vae.scale];
    requireShapes(options, { latents: [1, ...latent], forwardNoise: [video.frames - 1, ...latent] });
    return { resolved, ...video };
  }
}

registerPipeline(TextToVideoZeroPipeline);

/** The whole schedule, of which each loop takes a part. */
function compileWhole(
  scheduler: TextToVideoZeroPipeline['scheduler'],
  { steps, eta, schedulerOptions }: Pick<ResolvedOptions, 'steps' | 'eta' | 'schedulerOptions'>,
): CompiledSchedule {
  return scheduler.compile({
    steps,
    ...(eta !== undefined && { eta }),
    ...samplerOptions(scheduler, { ...(schedulerOptions && { schedulerOptions }) }),
  });
}

/** Checks the options that are about the video. */
function resolveVideo(options: TextToVideoZeroOptions, run: { steps: number; calls: number }) {
  const { frameIds } = options;
  const frames = options.videoLength ?? Math.max(2, frameIds?.length ?? 8);
  if (frameIds && frameIds.length !== frames) {
    throw invalidArgument('frameIds', `must be a list of ${frames} numbers, one for each frame`);
  }
  return {
    frames,
    ...resolveTimes(options, run),
    frameIds: frameIds ?? Array.from({ length: frames }, (_, i) => i),
    motion: {
      x: options.motionFieldStrengthX ?? 12,
      y: options.motionFieldStrengthY ?? 12,
    },
  };
}

/** t0 and t1. Defaults are diffusers' for 50 U-Net calls and more, and the same share of fewer. */
function resolveTimes(
  options: TextToVideoZeroOptions,
  { steps, calls }: { steps: number; calls: number },
): { t0: number; t1: number } {
  if (calls < LEAST_CALLS) {
    throw invalidArgument('steps', `must be at least ${LEAST_CALLS} for a video, got ${steps}`);
  }
  const share = Math.min(1, calls / 50);
  // One call is left before t1, and one between the two.
  const latest = calls - 2;
  const t1 = whole(
    't1',
    options.t1,
    Math.min(latest, Math.max(Math.round(47 * share), (options.t0 ?? 0) + 1)),
    1,
    latest,
  );
  const t0 = whole('t0', options.t0, Math.min(t1 - 1, Math.round(44 * share)), 0, latest - 1);
  if (t0 < t1) return { t0, t1 };
  throw invalidArgument('t1', `counts from the end of the schedule and must be above t0 (${t0}), got ${t1}`);
}

/** What the three loops are made from. */
export interface VideoZeroRun {
  options: Pick<
    ResolvedOptions,
    'steps' | 'eta' | 'cache' | 'schedulerOptions' | 'guidanceScale' | 'onCall' | 'latentsEvery' | 'signal'
  >;
  scheduler: TextToVideoZeroPipeline['scheduler'];
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
export async function denoiseVideo({ unet }: Pick<Components, 'unet'>, run: VideoZeroRun) {
  const { scheduler, options, frames, latent, guided, noise, t0, t1 } = run;
  const { signal } = options;
  const compiled = compileWhole(scheduler, options);
  const calls = compiled.rows.length;
  const loop = async (
    [from, to]: [number, number],
    x: Float32Array,
    { batch, slots }: { batch: number; slots: HistorySlots },
  ) => {
    const plan = await planLoop(unet, compiled, [from, to], run);
    const count = latent[1] * latent[2] * latent[3];
    const draws: Float32Array[] = [];
    for (const used of compiled.noiseUsed.slice(plan.firstDraw, plan.endDraw)) {
      const drawn = await noise.drawRows(batch, count, signal);
      if (used) draws.push(drawn);
    }
    const halves = guided ? 2 : 1;
    const request = {
      batch,
      frames: batch,
      halves: halves as 1 | 2,
      height: latent[2],
      width: latent[3],
      table: plan.table,
      latents: x,
      slots,
      ...(draws.length > 0 && { noise: await inSlices(joined(draws), signal) }),
      context: await inSlices(repeatRows(run.context, halves, batch), signal),
      contextLength: run.contextLength,
    };
    return { plan, ...(await runLoop(unet, request, plan, options)) };
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
  const alpha = alphaBetween(
    scheduler,
    compiled.timesteps[atT0] as number,
    compiled.timesteps[atT1] as number,
  );
  const noised = mapParts(
    moved.data,
    (value, i) => Math.sqrt(alpha) * value + Math.sqrt(1 - alpha) * (normal[i] as number),
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
    full: [first, second, third].flatMap(({ plan }) => plan.full),
    rowMilliseconds: Float64Array.from(
      [first, second, third].flatMap(({ rowMilliseconds }) => [...rowMilliseconds]),
    ),
  };
}

/** Part of the schedule as a run of its own: the cache begins anew, with the schedule of the whole run. */
async function planLoop(
  unet: Components['unet'],
  compiled: CompiledSchedule,
  [from, to]: [number, number],
  { options, guided, note }: Pick<VideoZeroRun, 'options' | 'guided' | 'note'>,
) {
  const { cache = false, guidanceScale } = options;
  const resolved = resolveCache(cache, options.steps);
  if (resolved.note && from === 0) note(resolved.note);
  const branch = unet.validateBranch(resolved.settings?.branch ?? 0);
  // As long as all steps, and begun by each loop.
  const full = fullCalls(cache, compiled.timesteps.slice(0, options.steps)).slice(0, to - from);
  const { rows } = compiled;
  // Draws so far, and those of the part that are used.
  const drawsBefore = (row: number) =>
    compiled.noiseDraws === 0 ? 0 : Math.round((compiled.noiseDraws * row) / rows.length);
  const [firstDraw, endDraw] = [drawsBefore(from), drawsBefore(to)];
  const used = compiled.noiseUsed;
  const place = (draw: number) => used.slice(firstDraw, draw).filter(Boolean).length;
  const part = rows
    .slice(from, to)
    .map((row) => (typeof row.noise === 'number' ? { ...row, noise: place(row.noise) } : row));
  const guidance = guided ? { scale: guidanceScale, rescale: 0 } : undefined;
  return {
    table: attachPrograms(part, full, branch, guidance),
    compiled: { ...compiled, rows: rows.slice(from, to), timesteps: compiled.timesteps.slice(from, to) },
    full,
    firstDraw,
    endDraw,
  };
}

/** How much of the signal is left from one training timestep to a later one (diffusers: forward_loop). */
function alphaBetween(scheduler: TextToVideoZeroPipeline['scheduler'], from: number, to: number): number {
  const { alphasCumprod } = scheduler;
  const before = from > 0 ? (alphasCumprod[from - 1] as number) : 1;
  return (alphasCumprod[to - 1] as number) / before;
}
