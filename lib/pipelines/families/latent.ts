import { controlFields, controlSize, guesses, prepareControl } from '../../control/control-run.js';
import { keptBy } from '../../deepcache/gate.js';
import { distilledHint } from '../../distilled/hint.js';
import { invalidArgument } from '../../errors.js';
import { addedOutput, withOutput } from '../../guidance/added-output.js';
import { freeUOf } from '../../guidance/free-u.js';
import { degrades } from '../../guidance/self-attention.js';
import { ImagePrompts } from '../../ip-adapter/image-prompts.js';
import { imagePromptFields } from '../../ip-adapter/settings.js';
import type { CheckScope } from '../../options/check.js';
import { requireShapes } from '../../options/checks.js';
import type { Family as FamilyName } from '../../options/families.js';
import type { FreeNoise } from '../../options/free-noise.js';
import { UsedPictures } from '../../settings/pictures.js';
import { t2iFields } from '../../t2i-adapter/settings.js';
import { T2IPictures, t2iSize } from '../../t2i-adapter/t2i-pictures.js';
import { guidanceEmbedding } from '../conditioning/guidance-embedding.js';
import type { TextModel } from '../conditioning/text-model.js';
import type { AnyFamily, Family, Start } from '../family.js';
import { repeatTo } from '../inputs/encode-image.js';
import {
  conditionsOf,
  type GenerateOptions,
  outputsOf,
  type RunSpan,
  requireFewImages,
  resolveTextOptions,
  type Size,
  type TextRunOptions,
} from '../inputs/options.js';
import type { PreparedRun, RunKind } from '../inputs/run-kind.js';
import { factsOf, type ModelFacts } from '../loading/facts.js';
import { checkMotion } from '../loading/fit.js';
import type { LatentParts, PipelineInfo } from '../loading/parts.js';
import { checkInputs, inputsOfUnet } from '../loading/unet-inputs.js';
import { planRun } from '../loop/denoise.js';
import { estimateMemory } from '../loop/memory.js';
import { decodeLatents } from '../outputs/decode.js';
import {
  endFields,
  recipeOf,
  type SettingsFields,
  samplerFields,
  settingsText,
} from '../outputs/settings.js';

/** Pictures from text by way of latents: how the model reads text, and what a run starts from. */
export interface LatentFamily<Given extends object, Parts extends LatentParts, Inputs>
  extends Family<Given, TextRunOptions, Parts, Inputs> {
  readonly text: TextModel<Parts>;
}

/** What a run of videos is like. */
export interface VideoShape {
  readonly frames: number;
  readonly freeNoise?: FreeNoise | undefined;
}

/** Of ControlNets, which no gate is for. */
const COMPUTES = { cross: undefined, self: undefined };

/** The prompts of the outputs that guidance combines. */
const OUTPUTS = {
  1: ['positive'],
  2: ['negative', 'positive'],
  3: ['negative', 'positive', 'negative'],
} as const;

/** Puts a text model and a kind of run together. */
export function latentFamily<Given extends GenerateOptions, Parts extends LatentParts, Inputs>(
  info: PipelineInfo<Parts> & {
    /** Whose options it takes. */
    options: FamilyName;
    text: TextModel<Parts>;
    kind: RunKind<Given, Inputs>;
    /** Default of guidanceScale; 7.5 itself. */
    guidanceScale?: number;
    /** See Family. */
    second?: () => AnyFamily;
    /** Of videos: their frames, which are samples that follow each other, and how these are seen. */
    videoOf?: (given: Given, facts: ModelFacts) => VideoShape;
  },
): LatentFamily<Given, Parts, Inputs> {
  const { text, kind, guidanceScale, videoOf } = info;
  const { imageChannels } = kind;
  const resolve = (given: Given, facts: ModelFacts, size?: Size, scope?: CheckScope) => {
    const defaults = {
      ...(guidanceScale !== undefined && { guidanceScale }),
      ...(imageChannels && { imageChannels }),
      ...(videoOf && { latentAxes: ['videos', 'channels', 'frames', 'height', 'width'] }),
      size,
    };
    const options = resolveTextOptions(info.options, given, facts, defaults, scope);
    text.check(options, facts);
    kind.check?.(options, facts);
    return videoOf ? asVideos(options, videoOf(given, facts)) : options;
  };
  return {
    ...info,
    gives: kind.gives,
    shortest: { prompt: '', steps: 2 } as Partial<Given>,
    facts: (parts) => factsOf({ ...parts, encoders: text.encoders(parts) }),
    encoders: (parts) => [
      ...text.encoders(parts),
      ...(parts.models.controls?.models ?? []),
      ...(parts.models.t2iAdapters ? [parts.models.t2iAdapters] : []),
    ],
    checkParts({ unet, vae }, what) {
      checkInputs(what, inputsOfUnet(unet), vae.latentChannels, kind.gives);
      checkMotion(what, unet, videoOf !== undefined);
    },
    load: kind.load,
    async size(inputs, facts, given) {
      const { scale } = facts;
      return kind.size(inputs, facts) ?? (await controlSize(given, scale)) ?? (await t2iSize(given, scale));
    },
    resolve(given, facts, _, size) {
      const options = resolve(given, facts, size);
      // The size of other kinds of runs is known with their pictures.
      if (!kind.isSizedByImage || size) requireShapes(options, { latents: drawnShape(options) });
      return { ...options, ...kind.guide?.(options), span: spanOf(kind, options) };
    },
    resolveTexts: (given, facts) => resolve(given, facts, undefined, { textsOnly: true }),
    plan: planRun,
    async prepare({ parts, facts, scheduler, options, inputs, plan, note }) {
      const { unet, vae } = parts;
      const { batch, frames = 1, freeNoise, latent, tiling, signal } = options;
      if (facts.guidanceWidth > 0 && options.negativePrompt !== undefined) {
        note('the negative prompt is not used: this U-Net takes the guidance scale as an input');
      }
      const hint = distilledHint(scheduler, options);
      if (hint !== undefined) note(hint);
      const freeU = freeUOf(options.freeU);
      const guessing = options.guessMode ? 'guessMode' : 'a ControlNet with global_pool_conditions';
      const added = addedOutput(
        options,
        unet,
        guesses(parts.models.controls, options) ? guessing : undefined,
      );
      const prompts = await text.read(parts, options, note);
      const pictures = await ImagePrompts.read(parts.models.ipAdapters, options, signal);
      const t2i = await T2IPictures.read(parts.models.t2iAdapters, options, options);
      const size = {
        batch: outputsOf(options) * latent[0],
        frames,
        ...(freeNoise && { frameWindows: freeNoise.windows }),
        height: latent[2],
        width: latent[3],
        contextLength: prompts.length,
        imageTokens: pictures.tokens,
        blockFeatures: t2i.features,
        freeU: freeU !== undefined,
        degradedOutputs: degrades(options) ? outputsOf(options) : undefined,
        ...keptBy(plan.table.programs),
      };
      const decodes = options.output !== 'latent';
      const need = await estimateMemory(parts, size, {
        encodes: kind.encodesImages,
        decodes,
        tiling,
        signal,
      });
      const nets = options.controlImage === undefined ? [] : (parts.models.controls?.models ?? []);
      let unetBytes = need.unet;
      const ofNets = { ...size, imageTokens: [], blockFeatures: 0, freeU: false, ...COMPUTES };
      for (const net of nets) unetBytes += await net.runBytes(ofNets, { signal });
      let prepared: PreparedRun;
      let used: UsedPictures;
      return {
        memory: { ...need, unet: unetBytes, pictures: kind.bytes(inputs, options) },
        embeddings: prompts.embeddings,
        settings: (image) => ({
          ...used.fields(
            image,
            batch,
            nets.map(({ kinds }) => kinds),
          ),
          ...imagePromptFields(pictures.uses),
        }),
        async condition() {
          prepared = await kind.prepare(inputs, options, note);
          // It unpacks them, which comes behind the look at the memory.
          used = await UsedPictures.of(options, signal);
          const conditions = {
            ...(await prompts.encode()),
            ...(await pictures.encode({
              batch,
              outputs: OUTPUTS[conditionsOf(options)],
              signal,
            })),
            ...(await t2i.encode(plan, { batch, signal })),
            ...(freeU && { freeU }),
            ...(facts.guidanceWidth > 0 && {
              timestepCond: repeatTo(guidanceEmbedding(options.guidanceScale, facts.guidanceWidth), 1, batch),
            }),
          };
          if (!added) return conditions;
          return { ...(await withOutput(conditions, added, conditionsOf(options), signal)), ...added.own };
        },
        async start(noise): Promise<Start> {
          const { lowResScheduler } = parts;
          const context = { unet, vae, options, compiled: plan.compiled, noise, lowResScheduler };
          const { blend, ...start } = await prepared.start(context);
          const { area } = prepared;
          const control = await prepareControl(parts.models.controls, { ...options, area }, plan.table);
          const own = added ? await withOutput(start, added, conditionsOf(options), signal) : start;
          return { ...own, ...blend, ...control };
        },
        async decode(sampled) {
          const pixels = await decodeLatents(vae, sampled, { tiling, signal });
          return (await prepared.finish?.(pixels)) ?? pixels;
        },
      };
    },
    settings({ parts, scheduler, options }, seeds, calls, stages) {
      const sampler = samplerFields(scheduler, options);
      const end = endFields(parts, options.cache, calls);
      const { denoisingStart, denoisingEnd } = options.span;
      return Array.from({ length: options.batch }, (_, image) => {
        const own = {
          Frames: options.frames,
          ...freeNoiseFields(options.freeNoise),
          ...kind.settings(options),
          // None is a setting of its own where the model recommends some.
          ...(parts.defaults?.guidanceRescale && { 'CFG rescale': options.guidanceRescale }),
          ...controlFields(parts.models.controls, options),
          ...stages.settings?.(image),
          ...t2iFields(parts.models.t2iAdapters, options),
          'Denoising start': denoisingStart,
          'Denoising end': denoisingEnd,
          ...text.settings(options, Math.floor(image / options.numImages)),
        };
        return settingsText(
          recipeOf(options, seeds, image, { sampler, own, end, embeddings: stages.embeddings }),
        );
      });
    },
  };
}

/** The samples of videos are their frames. */
function asVideos(options: TextRunOptions, video: VideoShape): TextRunOptions {
  const { frames } = video;
  const [videos, ...each] = options.latent;
  requireFewImages(videos * frames);
  return { ...options, ...video, latent: [videos * frames, ...each] };
}

function freeNoiseFields(freeNoise: FreeNoise | undefined): SettingsFields {
  if (!freeNoise) return {};
  const { windows, noiseType } = freeNoise;
  return { FreeNoise: `${windows.length} stride ${windows.stride} ${windows.weighting} ${noiseType}` };
}

/** Of start noise: as the generators draw it. */
function drawnShape({ latent, frames, batch }: TextRunOptions): readonly number[] {
  const [, channels, height, width] = latent;
  return frames === undefined ? latent : [batch, channels, frames, height, width];
}

/** Which part of the schedule a run takes. */
export function spanOf(
  kind: Pick<RunKind<never, unknown>, 'span'>,
  options: Pick<TextRunOptions, 'steps' | 'strength' | 'denoisingStart' | 'denoisingEnd'>,
): RunSpan {
  const { steps, denoisingStart, denoisingEnd } = options;
  if (denoisingStart !== undefined && denoisingEnd !== undefined && denoisingStart >= denoisingEnd) {
    throw invalidArgument(
      'denoisingStart',
      `must be below denoisingEnd (${denoisingEnd}), got ${denoisingStart}`,
    );
  }
  // Where a run starts is said once: strength counts for nothing beside denoisingStart.
  const from = denoisingStart === undefined ? options : { strength: 1 };
  return { ...kind.span(from, steps), denoisingStart, denoisingEnd };
}
