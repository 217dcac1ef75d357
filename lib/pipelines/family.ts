import type { TextualInversion } from '../embeddings/textual-inversions.js';
import { invalidArgument } from '../errors.js';
import type { DenoiseRequest } from '../native/types.js';
import type { LatentProjection } from '../previews/projection.js';
import type { Scheduler, StepTable } from '../schedulers/index.js';
import type { Tensor } from '../tensor.js';
import type { NoiseSource } from './inputs/noise.js';
import type { GenerateOptions, RunOptions, Size } from './inputs/options.js';
import type { ModelFacts } from './loading/facts.js';
import type { LoadOptions, PipelineInfo, PipelineParts } from './loading/parts.js';
import type { RanCall } from './loop/calls.js';
import type { LoopResult, MemoryEstimate, RunPlan } from './loop/plan.js';
import type { SettingsFields } from './outputs/settings.js';

/** What the stages of a run share. */
export interface Run<Options extends RunOptions, Parts extends PipelineParts, Inputs> {
  readonly parts: Parts;
  readonly facts: ModelFacts;
  readonly scheduler: Scheduler;
  readonly options: Options;
  readonly inputs: Inputs;
  readonly plan: RunPlan;
  /** Tells the user what the run does otherwise than one might expect. */
  readonly note: (message: string) => void;
}

/** What the loop gets besides sizes and the step table. */
export type LoopInputs = Omit<DenoiseRequest, 'batch' | 'height' | 'width' | 'outputs' | 'table' | 'latents'>;

/** What a run starts from. */
export interface Start extends Partial<LoopInputs> {
  readonly latents: Float32Array;
  /** Instead of the plan's. */
  readonly table?: StepTable;
}

/** The stages of a run whose options are known, in order. Nothing has been computed before the first of them. */
export interface Stages {
  /** What the run needs, known before anything is allocated. */
  readonly memory: MemoryEstimate;
  /** Encodes what conditions the U-Net. The stages draw from the generators in diffusers' order. */
  condition(noise: NoiseSource): Promise<Partial<LoopInputs>>;
  start(noise: NoiseSource): Promise<Start>;
  /** The loop, where it is not the usual one over the plan. */
  loop?(noise: NoiseSource, inputs: Start): Promise<LoopResult>;
  /** What was sampled -> pixels [n, 3, h, w] from 0 to 1. */
  decode(sampled: Tensor): Promise<Tensor>;
  /** Textual inversions that the texts were read with. */
  readonly embeddings?: readonly TextualInversion[];
  /** What settings say of things that are known only once they were read. */
  settings?(image: number): SettingsFields;
}

/**
 * A kind of pipeline: a handful of functions and defaults, of which `check` and `run` make everything else.
 *
 * @typeParam Given options as users give them.
 * @typeParam Options the same, checked and with defaults.
 * @typeParam Inputs what is looked at before a run, such as the headers of pictures.
 */
export interface Family<Given extends object, Options extends RunOptions, Parts extends PipelineParts, Inputs>
  extends PipelineInfo<Parts> {
  /** Options of a run that is as short as can be, for a warm-up. */
  readonly shortest: Partial<Given>;
  /** What parts are like. */
  facts(parts: Parts): ModelFacts;
  /** Throws where parts that fit each other do not fit the family. `what` names them. */
  checkParts?(parts: Parts, what: string): void;
  /**
   * Checks options and fills in their defaults.
   *
   * @param size where options name none; undefined: the model's own.
   */
  resolve(given: Given, facts: ModelFacts, scheduler: Scheduler, size: Size | undefined): Options;
  /** The same for prompts alone: pictures may be missing. */
  resolveTexts?(given: Given, facts: ModelFacts): Options;
  /** The plan of a run, which is the rest of the check. */
  plan(scheduler: Scheduler, facts: ModelFacts, options: Options, note: (message: string) => void): RunPlan;
  /** Finds what options point to. */
  load(given: Given): Promise<Inputs>;
  /** Size of the result where options name none; undefined: the model's own. */
  size(inputs: Inputs, facts: ModelFacts, given: Given): Size | undefined | Promise<Size | undefined>;
  prepare(run: Run<Options, Parts, Inputs>): Promise<Stages>;
  /** Of each image what it was made with; a video has one text. */
  settings(
    run: Run<Options, Parts, Inputs>,
    seeds: readonly bigint[],
    calls: readonly RanCall[],
    stages: Pick<Stages, 'embeddings' | 'settings'>,
  ): string[];
  /** The family that goes on with the enlarged picture of a first pass, where there is one. */
  second?(): AnyFamily;
  /** Networks besides the U-Net and the autoencoder, for what they weigh. */
  encoders(parts: Parts): readonly { readonly weightBytes: number }[];
}

/** Parts with colours of previews; undefined until they are needed where they have to be fitted. */
export interface PreviewParts {
  projection: LatentProjection | undefined;
}

// biome-ignore lint/suspicious/noExplicitAny: families differ in their options, parts and inputs
export type AnyFamily = Family<any, any, any, any>;

/** Options of a run that is as short as can be, with those of others that are given. */
export function shortRun({ shortest }: AnyFamily, given: object): object {
  const { numInferenceSteps: _, ...rest } = given as GenerateOptions;
  const { prompt, ...others } = shortest as Partial<GenerateOptions>;
  // What was encoded stands in the place of the text.
  const text = rest.promptEmbeds || prompt === undefined ? {} : { prompt };
  return { ...others, ...text, ...rest, steps: others.steps, output: 'float32' };
}

/** Throws where a family cannot work with the parts of another one's pipeline. */
export function requireParts(
  family: AnyFamily,
  parts: PipelineParts,
  { className }: { className: string },
): void {
  const missing = family.parts.filter((part) => !(part in parts));
  if (missing.length > 0) {
    throw invalidArgument(
      'pipeline',
      `is a ${className}, which has no ${missing.join(' and no ')}; a ${family.className} needs them`,
    );
  }
  family.checkParts?.(parts, 'the pipeline');
}

/** Throws where networks are to be loaded beside a model that takes none. */
export function refuseNetworks({ controlNet, t2iAdapter, previewVae }: LoadOptions): void {
  for (const [name, given] of Object.entries({ controlNet, t2iAdapter, previewVae })) {
    if (given !== undefined) throw invalidArgument(name, 'is for Stable Diffusion and SDXL');
  }
}
