import { branchCount } from '../../deepcache/index.js';
import { DeepCacheError, invalidArgument } from '../../errors.js';
import type { AutoencoderKL } from '../../models/autoencoder-kl.js';
import { requireShapes, whole } from '../../options/checks.js';
import type { OptionsOf } from '../../options/spec/index.js';
import type { Tensor } from '../../tensor.js';
import { sdText } from '../conditioning/sd-text.js';
import type { Family } from '../family.js';
import { resolveTextOptions, type TextRunOptions } from '../inputs/options.js';
import { factsOf } from '../loading/facts.js';
import { checkMotion } from '../loading/fit.js';
import { readFolderFacts } from '../loading/folder-facts.js';
import type { SDParts } from '../loading/parts.js';
import { registerPipeline } from '../loading/registry.js';
import { loadSDParts } from '../loading/sd-parts.js';
import { checkInputs, inputsOfUnet, ONLY_LATENTS } from '../loading/unet-inputs.js';
import { planRun } from '../loop/denoise.js';
import { estimateMemory } from '../loop/memory.js';
import { compileWhole, denoiseVideo, layoutOfLoops } from '../loop/video-zero.js';
import { decodeLatents } from '../outputs/decode.js';
import { endFields, recipeOf, samplerFields, settingsText } from '../outputs/settings.js';
import { TextPipeline } from './text-pipeline.js';

/** Options of Text2Video-Zero. Names are diffusers', in camelCase; there is one prompt. */
export interface TextToVideoZeroOptions extends OptionsOf<'zero'> {}

/** Options of a run that were checked. */
interface VideoZeroOptions extends TextRunOptions {
  readonly frames: number;
  readonly frameIds: readonly number[];
  readonly motion: { readonly x: number; readonly y: number };
  readonly t0: number;
  readonly t1: number;
  readonly forwardNoise?: Tensor;
}

/** Two loops for the first frame and one for all of them, of a call each. */
const LEAST_CALLS = 3;

const family: Family<TextToVideoZeroOptions, VideoZeroOptions, SDParts, undefined> = {
  className: 'TextToVideoZeroPipeline',
  parts: ['unet', 'vae', 'textEncoder', 'tokenizer'],
  loadParts: loadSDParts,
  readFacts: readFolderFacts,
  shortest: { prompt: '', steps: LEAST_CALLS },
  facts: (parts) => factsOf({ ...parts, encoders: [parts.textEncoder] }),
  encoders: sdText.encoders,
  checkParts({ unet, vae }, what) {
    checkInputs(what, inputsOfUnet(unet), vae.latentChannels, ONLY_LATENTS);
    checkMotion(what, unet, false);
    if (unet.timeCondWidth > 0) {
      throw new DeepCacheError(
        'ERR_DEEPCACHE_UNSUPPORTED',
        `Text2Video-Zero does not take U-Nets with the guidance scale as an input (time_cond_proj_dim), as ${what} has`,
      );
    }
  },
  load: async () => undefined,
  size: () => undefined,
  resolve(given, facts, scheduler) {
    const options = resolveTextOptions('zero', given, facts);
    if (options.promptCount !== 1) throw invalidArgument('prompt', 'must be one text: it makes one video');
    const { rows } = compileWhole(scheduler, options);
    const video = resolveVideo(given, { steps: options.steps, calls: rows.length });
    const [, ...each] = options.latent;
    requireShapes(given, { latents: [1, ...each], forwardNoise: [video.frames - 1, ...each] });
    const { forwardNoise } = given;
    return { ...options, ...video, latent: [video.frames, ...each], ...(forwardNoise && { forwardNoise }) };
  },
  plan(scheduler, facts, options, note) {
    const plan = planRun(scheduler, facts, { ...options, cache: false }, note);
    // Checks the cache, which each loop begins anew.
    layoutOfLoops(plan.compiled, options, branchCount(facts.levels, facts.layersPerBlock));
    return plan;
  },
  async prepare({ parts, options, scheduler, plan, note }) {
    const { frames, guided, tiling, signal } = options;
    const [, ...each] = options.latent;
    const tokens = await sdText.read(parts, options, note);
    const size = { height: each[1], width: each[2], contextLength: tokens.length };
    return {
      memory: await estimateMemory(
        parts,
        { batch: (guided ? 2 : 1) * frames, ...size },
        { encodes: false, decodes: options.output !== 'latent', tiling, signal },
      ),
      embeddings: tokens.embeddings,
      condition: () => tokens.encode(),
      start: async () => ({ latents: new Float32Array(0) }),
      loop: (noise, { context }) =>
        denoiseVideo(parts, {
          ...options,
          options,
          scheduler,
          compiled: plan.compiled,
          latent: [1, ...each],
          context: context as Float32Array,
          contextLength: tokens.length,
          noise,
          latents: options.latents?.data,
          forwardNoise: options.forwardNoise?.data,
          note,
        }),
      decode: (sampled) => decodeLatents(parts.vae, sampled, { tiling, signal }),
    };
  },
  settings({ parts, scheduler, options }, seeds, calls, { embeddings }) {
    const own = {
      Frames: options.frameIds.join(' '),
      'Motion field': `${options.motion.x} ${options.motion.y}`,
      'Turning points': `${options.t0} ${options.t1}`,
      'Forward noise': options.forwardNoise && 'given',
    };
    const sampler = samplerFields(scheduler, options);
    const end = endFields(parts, options.cache, calls);
    const recipe = { sampler, own, end, embeddings };
    return [settingsText(recipeOf({ ...options, numImages: 1, batch: 1 }, seeds, 0, recipe))];
  },
};

/**
 * Text to video with an image model (Khachatryan et al. 2023): the first frame is denoised half way, moved and noised
 * again to make the others, then all frames are denoised together, taking the keys and values of self attention from
 * the first. Made from a loaded pipeline: `TextToVideoZeroPipeline.from(pipe)`. The result's images are the frames.
 */
export class TextToVideoZeroPipeline extends TextPipeline<TextToVideoZeroOptions, SDParts> {
  static override readonly family = family;

  protected override get textBranches() {
    return [{ tokenizer: this.components.tokenizer, encoder: this.components.textEncoder }];
  }

  /** The autoencoder. */
  get vae(): AutoencoderKL {
    return this.components.vae;
  }
}

registerPipeline(TextToVideoZeroPipeline);

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
