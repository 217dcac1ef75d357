import type { Distillation } from '../../distilled/recipes.js';
import type { TextBranch } from '../../embeddings/textual-inversions.js';
import type { JsonObject } from '../../files/json.js';
import type { AutoencoderKL } from '../../models/autoencoder-kl.js';
import type { ClassEmbedder } from '../../models/class-embedder.js';
import type { CLIPVisionModelWithProjection } from '../../models/image-encoder.js';
import type { PartPlace } from '../../models/overridden-source.js';
import type { PartSource } from '../../models/part-source.js';
import type { CLIPTextModel } from '../../models/text-encoder.js';
import type { UNetModel } from '../../models/unet.js';
import type { UNetSpatioTemporalConditionModel } from '../../models/unet-spatio-temporal.js';
import type { NativeBackend } from '../../native/types.js';
import type { OptionsOf } from '../../options/spec/index.js';
import type { ModelPlans } from '../../plans/model-plans.js';
import type { LatentProjection } from '../../previews/projection.js';
import type { Scheduler } from '../../schedulers/index.js';
import type { CLIPTokenizer } from '../../tokenizers/clip-tokenizer.js';
import type { ModelFacts } from './facts.js';
import type { ModelName } from './model-name.js';
import type { SharedModels } from './shared-models.js';
import type { SuppliedInputs } from './unet-inputs.js';

/** What loading a model takes. */
export interface LoadOptions extends OptionsOf<'load'> {}

/** What a model is, and where its parts come from. */
export interface ModelIndex {
  readonly source: PartSource;
  /** Of the pipeline: the one that the folder names, or that its parts are made for. */
  readonly className: string;
  /** model_index.json */
  readonly value: Readonly<JsonObject>;
  /** Where the autoencoder of previews comes from, where there is one. */
  readonly previewVae?: PartPlace;
  /** How the folder and the class were found where that is not plain, for the log. */
  readonly remarks?: readonly string[];
}

/** What a model folder recommends for its runs: defaults of `generate`'s options of the same names. */
export interface GenerationDefaults {
  /** Of `steps`. */
  readonly steps?: number;
  /** Of `guidanceScale`. */
  readonly guidanceScale?: number;
  /** Of `guidanceRescale`. */
  readonly guidanceRescale?: number;
  /** How the model was distilled, where its configurations say so. */
  readonly distilled?: Distillation;
  /** Of `pagScale`, where the pipeline is one for that. */
  readonly pagScale?: number;
  /** Of `sagScale`, likewise. */
  readonly sagScale?: number;
}

/** What every pipeline is made of. */
export interface PipelineParts {
  readonly backend: NativeBackend;
  readonly scheduler: Scheduler;
  readonly unet: UNetModel;
  /** What the folder recommends for its runs. */
  readonly defaults?: GenerationDefaults;
  /** What distinguishes the model from others. */
  readonly model?: ModelName;
  /** What presets of the cache stand for in runs that were planned. */
  readonly plans?: ModelPlans;
  /** All loaded models; the pipelines over them share them. */
  readonly models: SharedModels;
}

/** The parts that every pipeline of text has. */
export interface LatentParts extends PipelineParts {
  readonly vae: AutoencoderKL;
  /** Colours of previews; undefined until they are needed where they have to be fitted. */
  projection: LatentProjection | undefined;
  /** What decodes previews instead. */
  readonly previewVae?: AutoencoderKL | undefined;
  /** Upscalers: what noises the picture that they enlarge, and to which timestep at most. */
  readonly lowResScheduler?: Scheduler;
  readonly maxNoiseLevel?: number;
}

/** The parts of a Stable Diffusion folder. */
export interface SDParts extends LatentParts {
  /** What its motion modules are called, where it has some. */
  readonly motionAdapter?: string | undefined;
  readonly tokenizer: CLIPTokenizer;
  readonly textEncoder: CLIPTextModel;
}

/** The parts of a Stable Diffusion XL folder. */
export interface XLParts extends LatentParts {
  /** Base: both encoders; refiner: the second one alone. The last one gives the pooled embedding. */
  readonly text: readonly TextBranch[];
  /** An absent negative prompt is all zeros, not the empty prompt. */
  readonly forceZerosForEmptyPrompt: boolean;
  /** The refiner: aesthetic scores take the place of the target size. */
  readonly requiresAestheticsScore: boolean;
}

/** The parts of a Stable Video Diffusion folder. */
export interface VideoParts extends PipelineParts {
  readonly unet: UNetSpatioTemporalConditionModel;
  readonly vae: AutoencoderKL;
  readonly imageEncoder: CLIPVisionModelWithProjection;
}

/** The parts of a latent diffusion checkpoint. */
export interface ClassParts extends PipelineParts {
  readonly vae: AutoencoderKL;
  readonly classes: ClassEmbedder;
}

/** What a folder says about its model without its weights. */
export interface FolderFacts {
  readonly facts: ModelFacts;
  /** Its own, or the one that options name. */
  readonly scheduler: Scheduler;
}

/** What is known of a pipeline before a model is loaded. */
export interface PipelineInfo<Parts extends PipelineParts = PipelineParts> {
  /** diffusers' class name, as in model_index.json. */
  readonly className: string;
  /** Names of the parts that it works with. */
  readonly parts: readonly string[];
  /** What it can give a U-Net of text; latents alone by default. */
  readonly gives?: SuppliedInputs;
  /** Defaults of `generate` that belong to the class. */
  readonly recommended?: GenerationDefaults;
  /** Looks at a folder without loading it. Throws what loading throws about its configurations. */
  readFacts(index: ModelIndex, options: LoadOptions): Promise<FolderFacts>;
  /** Loads the parts of a folder. */
  loadParts(index: ModelIndex, options: LoadOptions): Promise<Parts>;
}
