import { LatentPolicy } from '../../deepcache/index.js';
import type { AutoencoderKL } from '../../models/autoencoder-kl.js';
import { checkOptions } from '../../options/check.js';
import type { OptionsOf } from '../../options/spec/index.js';
import { DiffusionPipeline } from '../diffusion-pipeline.js';
import type { Family } from '../family.js';
import { type RunOptions, requireFewImages } from '../inputs/options.js';
import { loadClassParts, readClassFacts } from '../loading/class-parts.js';
import { factsOf } from '../loading/facts.js';
import type { ClassParts } from '../loading/parts.js';
import { registerPipeline } from '../loading/registry.js';
import { planRun } from '../loop/denoise.js';
import { decodeLatents } from '../outputs/decode.js';
import { resolveSampling, samplingSettings, startSampling } from './sampling.js';

export interface ClassConditionalLDMOptions extends OptionsOf<'ldm'> {
  classLabels: number | readonly number[];
}

/** Options of a run that were checked. */
interface ClassRunOptions extends RunOptions {
  /** The class of each image. */
  readonly labels: readonly number[];
  readonly guidanceScale: number;
}

const DEFAULT_STEPS = 250;
const DEFAULT_GUIDANCE = 1.5;

const family: Family<ClassConditionalLDMOptions, ClassRunOptions, ClassParts, undefined> = {
  className: 'ClassConditionalLDMPipeline',
  parts: ['unet', 'vae', 'classes'],
  readFacts: readClassFacts,
  loadParts: loadClassParts,
  shortest: { classLabels: 0, steps: 2 },
  facts: (parts) => factsOf({ ...parts, classes: parts.classes.unconditional }),
  encoders: () => [],
  load: async () => undefined,
  size: () => undefined,
  resolve(given, facts) {
    const options = checkOptions('ldm', given, { classes: facts.classes });
    const { cache = false, numImages = 1, classLabels, steps = DEFAULT_STEPS } = options;
    const { guidanceScale = DEFAULT_GUIDANCE } = options;
    const list = typeof classLabels === 'number' ? [classLabels] : classLabels;
    const labels = list.flatMap((label) => new Array<number>(numImages).fill(label));
    const images = labels.length;
    requireFewImages(images);
    const guided = guidanceScale !== 1;
    const run = { steps, images, guided, guidance: guidanceScale, policy: new LatentPolicy(cache) };
    return { ...resolveSampling(options, facts, run), labels, guidanceScale };
  },
  plan: planRun,
  async prepare(run) {
    const { parts, options } = run;
    const { vae, unet, classes } = parts;
    const { images, guided, labels, output, signal } = options;
    const [, , height, width] = options.latent;
    return {
      memory: {
        unet: await unet.runBytes({ batch: (guided ? 2 : 1) * images }, { signal }),
        vae: output === 'latent' ? 0 : await vae.decodeBytes({ height, width }, { signal }),
      },
      async condition() {
        const none = new Array<number>(guided ? images : 0).fill(classes.unconditional);
        return { context: classes.embed([...none, ...labels]), contextLength: 1 };
      },
      start: startSampling(run),
      decode: (sampled) => decodeLatents(vae, sampled, { signal }),
    };
  },
  settings(run, seeds, calls) {
    const { labels, guidanceScale } = run.options;
    return samplingSettings(run, seeds, calls, (image) => ({
      Class: labels[image],
      'CFG scale': guidanceScale,
    }));
  },
};

/**
 * Pictures of a class (Rombach et al. 2022): LDM-4-G on ImageNet. Loads latent diffusion's own layout: config.json with
 * the `model` section of its configuration, and model.safetensors with the names of the published checkpoint
 * (cin256-v2). diffusers' LDMPipeline is the unconditional model, and another class.
 */
export class ClassConditionalLDMPipeline extends DiffusionPipeline<ClassConditionalLDMOptions, ClassParts> {
  static override readonly family = family;

  /** The autoencoder. */
  get vae(): AutoencoderKL {
    return this.components.vae;
  }

  /** Classes that pictures can show: `classLabels` go from 0 to one less. */
  get numClasses(): number {
    return this.components.classes.unconditional;
  }
}

registerPipeline(ClassConditionalLDMPipeline);
