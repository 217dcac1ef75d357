import type { NoiseDraws } from '../native/types.js';
import { checkAllValues } from '../options/check.js';
import { plannedRun } from '../plans/planned-run.js';
import type { PlannedRun } from '../plans/saved-plan.js';
import { untunedPreset } from '../plans/untuned.js';
import { fitProjection } from '../previews/fit.js';
import { linearLook, type PreviewLook } from '../previews/look.js';
import type { Scheduler, StepTable } from '../schedulers/index.js';
import { pause } from '../slices.js';
import { countOf, FloatTensor } from '../tensor.js';
import type { AnyFamily, Family, PreviewParts, Run, Start } from './family.js';
import { motionDraws } from './inputs/motion-draws.js';
import type { NoiseSource } from './inputs/noise.js';
import { outputsOf, type RunOptions, type TextRunOptions } from './inputs/options.js';
import { seedsOf, tellSeeds } from './inputs/seeds.js';
import type { ModelFacts } from './loading/facts.js';
import type { LatentParts, PipelineParts } from './loading/parts.js';
import { chooseScheduler } from './loading/scheduler-file.js';
import type { Conductor } from './loop/conductor.js';
import { runLoop } from './loop/denoise.js';
import { requireMemory } from './loop/memory.js';
import type { LoopResult, RunPlan } from './loop/plan.js';
import { toPictures } from './outputs/pixels.js';
import { decodedLook } from './outputs/preview-look.js';
import { type GenerateResult, type GenerateStats, runResult } from './outputs/result.js';
import { PhaseClock, runStats } from './outputs/stats.js';

interface WithScheduler {
  readonly scheduler?: Parameters<typeof chooseScheduler>[0];
}

/** The sampler of a run: the options', or the pipeline's own. */
function schedulerOf({ scheduler }: WithScheduler, own: Scheduler): Scheduler {
  return scheduler === undefined ? own : chooseScheduler(scheduler, own);
}

/**
 * Throws what is wrong with the options of a run, as far as can be known without looking at the files they name.
 *
 * @param facts of the model, which need not be loaded.
 * @returns the options with their defaults.
 */
export function checkRun(family: AnyFamily, given: object, facts: ModelFacts, own: Scheduler): RunOptions {
  // Options that are none are refused by the family, in its words.
  const scheduler = schedulerOf(given ?? {}, own);
  const options = family.resolve(given, facts, scheduler, undefined);
  family.plan(scheduler, facts, options, () => {});
  return options;
}

/** The same with a look at the headers of pictures that options name, whose size may be that of the run. */
export async function checkRunInputs(
  family: AnyFamily,
  given: object,
  facts: ModelFacts,
  own: Scheduler,
): Promise<{ options: RunOptions; plan: RunPlan }> {
  const scheduler = schedulerOf(given, own);
  const size = await family.size(await family.load(given), facts, given);
  const options = family.resolve(given, facts, scheduler, size);
  return { options, plan: family.plan(scheduler, facts, options, () => {}) };
}

/** The kind of run that options make, as plans name it; undefined for one that no plan can be for. */
export function plannableRun(
  family: AnyFamily,
  given: object,
  facts: ModelFacts,
  own: Scheduler,
): PlannedRun | undefined {
  const scheduler = schedulerOf(given, own);
  return plannedRun(family.className, scheduler, family.resolve(given, facts, scheduler, undefined));
}

/** What runs of a pipeline are made with. */
interface RunPipeline<P extends PipelineParts> {
  readonly parts: P;
  readonly scheduler: Scheduler;
  noise(seeds: readonly bigint[], images: number): NoiseSource;
  /** Of runs that go side by side and share U-Net passes; alone by default. */
  readonly conductor?: Conductor | undefined;
}

/** A run: inputs are loaded, conditions encoded, the loop is run and its result decoded. */
export async function run<Given extends WithScheduler, O extends RunOptions, P extends PipelineParts, Inputs>(
  family: Family<Given, O, P, Inputs>,
  pipeline: RunPipeline<P>,
  given: Given,
): Promise<GenerateResult> {
  const { parts, conductor } = pipeline;
  const inputs = await family.load(given);
  const facts = family.facts(parts);
  const scheduler = schedulerOf(given, pipeline.scheduler);
  const size = await family.size(inputs, facts, given);
  const resolved = family.resolve(given, facts, scheduler, size);
  const options = withPreset(family, parts, facts, scheduler, resolved);
  const { signal, output, latent } = options;
  await checkAllValues(options, signal);
  const notes: string[] = [];
  const note = (message: string) => {
    notes.push(message);
  };
  const clock = new PhaseClock();
  const prepared = parts.unet.plansMade;
  const plan = family.plan(scheduler, facts, options, note);
  const context: Run<O, P, Inputs> = { parts, facts, scheduler, options, inputs, plan, note };
  await pause(signal);
  const stages = await family.prepare(context);
  const previewed = parts as P & LatentParts;
  const need = { ...stages.memory, previews: await previewBytes(previewed, options) };
  await requireMemory(parts, need, conductor, signal);
  await pause(signal);

  const noise = pipeline.noise(seedsOf(options), options.images);
  const conditions = await stages.condition(noise);
  clock.lap('encode');
  const start = { ...(await stages.start(noise)), ...conditions };
  const look = options.previewEvery ? await lookOf(previewed, options) : undefined;
  signal?.throwIfAborted();
  clock.lap('prepare');

  const loop = await (stages.loop?.(noise, start) ?? usualLoop(context, noise, start, look, conductor));
  clock.lap('denoise');

  await pause(signal);
  const sampled = new FloatTensor(loop.latents, latent);
  const tensor = output === 'latent' ? sampled : await stages.decode(sampled);
  const settings = family.settings(context, noise.seeds, loop.calls, stages);
  const images = output === 'image' ? await toPictures(tensor, settings, signal) : [];
  clock.lap('decode');
  await pause(signal);
  return runResult({
    images,
    ...(output !== 'image' && { tensor: new FloatTensor(tensor.data, tensor.shape) }),
    settings,
    seeds: tellSeeds(noise.seeds),
    stats: {
      ...runStats(clock, loop.calls, memoryOf(parts, family.encoders(parts))),
      plansMade: parts.unet.plansMade - prepared,
    },
    notes,
  });
}

/** The options with what a preset of the cache stands for in this run: a plan of the model's, or what suits untuned models. */
function withPreset<O extends RunOptions>(
  family: Pick<AnyFamily, 'className' | 'plan'>,
  { plans }: PipelineParts,
  facts: ModelFacts,
  scheduler: Scheduler,
  options: O,
): O {
  if (typeof options.cache !== 'string') return options;
  const planned = plannedRun(family.className, scheduler, options);
  let cache = plans?.resolve(options.cache, planned) ?? options.cache;
  if (typeof cache === 'string' && planned) {
    const callsOf = () => family.plan(scheduler, facts, options, () => {}).compiled.timesteps.length;
    cache = untunedPreset(cache, planned, callsOf);
  }
  return { ...options, cache };
}

/** The plan's rows, one after the other. */
async function usualLoop<O extends RunOptions, P extends PipelineParts>(
  { parts, options, plan }: Run<O, P, unknown>,
  noise: NoiseSource,
  start: Start,
  look: PreviewLook | undefined,
  conductor: Conductor | undefined,
): Promise<LoopResult> {
  const [batch, , height, width] = options.latent;
  const { frames, freeNoise } = options;
  const draws = await drawsOf(plan, noise, options);
  const { table = plan.table } = start;
  return runLoop(
    parts.unet,
    {
      ...start,
      batch,
      ...(frames !== undefined && { frames }),
      ...(freeNoise && { frameWindows: freeNoise.windows }),
      outputs: outputsOf(options),
      height,
      width,
      // A sampler that repaints has noise of its own for it.
      table: start.initNoise ? withBlend(plan, table) : table,
      ...(draws && { noise: draws }),
    },
    plan,
    { ...options, conductor },
    look,
  );
}

/** The sampler's noise: a motion's, or what follows in the generator. */
async function drawsOf(
  { compiled: { motion, noiseUsed } }: RunPlan,
  noise: NoiseSource,
  { latent, images, signal }: Pick<RunOptions, 'latent' | 'images' | 'signal'>,
): Promise<NoiseDraws | Float32Array | undefined> {
  if (!motion || !noiseUsed.includes(true)) return noise.following(noiseUsed);
  return motionDraws({ motion, seeds: noise.seeds, batch: images, count: countOf(latent) / images }, signal);
}

/** Four-channel inpainting: after each call the kept part is put back, noised for the next call's timestep. */
function withBlend({ compiled }: RunPlan, table: StepTable): StepTable {
  const rows = table.rows.map((row, i) => {
    const next = compiled.addNoiseLevels[i + 1];
    return { ...row, blend: { init: next?.sqrtAlpha ?? 1, noise: next?.sigma ?? 0 } };
  });
  return { ...table, rows };
}

/** Options that previews depend on. */
type Previewed = Pick<RunOptions, 'previewEvery' | 'latent' | 'signal'> &
  Partial<Pick<TextRunOptions, 'tiling'>>;

/** How previews are made. */
async function lookOf(
  parts: LatentParts & PreviewParts,
  { tiling, signal }: Previewed,
): Promise<PreviewLook> {
  if (parts.previewVae) return decodedLook(parts.previewVae, tiling);
  parts.projection ??= await fitProjection(parts.vae, signal);
  return linearLook(parts.projection, parts.vae.scale);
}

/** Bytes that decoding previews takes while the U-Net works: one after the other. */
async function previewBytes({ previewVae }: LatentParts, options: Previewed): Promise<number> {
  if (!previewVae || !options.previewEvery) return 0;
  const [, , height, width] = options.latent;
  return previewVae.decodeBytes({ height, width }, options);
}

/** Bytes that models hold. */
function memoryOf(
  parts: PipelineParts & Partial<Pick<LatentParts, 'vae' | 'previewVae'>>,
  encoders: readonly { readonly weightBytes: number }[],
): GenerateStats['memory'] {
  const unet = parts.unet.memory();
  const none = { weights: 0, peakArena: 0 };
  const { vae = none, preview = none } = { vae: parts.vae?.memory(), preview: parts.previewVae?.memory() };
  const others = encoders.reduce((sum, { weightBytes }) => sum + weightBytes, 0);
  return {
    weights: unet.weights + vae.weights + preview.weights + others,
    arenas: unet.arena + vae.peakArena + preview.peakArena,
    buffers: unet.buffers,
  };
}
