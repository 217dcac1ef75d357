import type { TextualInversion } from '../../embeddings/textual-inversions.js';
import type { CLIPTextModel } from '../../models/text-encoder.js';
import type { UnetConditions } from '../../native/types.js';
import type { Tensor } from '../../tensor.js';
import type { TextRunOptions } from '../inputs/options.js';
import type { ModelFacts } from '../loading/facts.js';
import type { LatentParts } from '../loading/parts.js';

/** Encoded prompts, with every prompt repeated for its images: what options of the same names take. */
export interface EncodedPrompt {
  /** [images, tokens, width] */
  promptEmbeds: Tensor;
  /** With guidance. */
  negativePromptEmbeds?: Tensor;
  /** SDXL: [images, width] */
  pooledPromptEmbeds?: Tensor;
  /** SDXL, with guidance: [images, width] */
  negativePooledPromptEmbeds?: Tensor;
}

/** Encoded prompts of SDXL. */
export interface XLEncodedPrompt extends EncodedPrompt {
  /** [images, width] */
  pooledPromptEmbeds: Tensor;
}

/** Prompts that were read, but not encoded yet: enough to know what a run needs. */
export interface PreparedConditions {
  /** Tokens that the U-Net will read for each image. */
  readonly length: number;
  /** Textual inversions that they were read with. */
  readonly embeddings: readonly TextualInversion[];
  encode(): Promise<UnetConditions>;
}

/** How a model reads text. */
export interface TextModel<Parts extends LatentParts, Encoded extends EncodedPrompt = EncodedPrompt> {
  encoders(parts: Parts): readonly CLIPTextModel[];
  /** Throws what is wrong with options that the model alone has. */
  check(options: TextRunOptions, facts: ModelFacts): void;
  /** Reads the prompts and whatever else conditions the model. Throws what is wrong with it. */
  read(parts: Parts, options: TextRunOptions, note: (message: string) => void): Promise<PreparedConditions>;
  /** Encodes prompts for several runs to use (diffusers' encode_prompt). */
  encodePrompt(parts: Parts, options: TextRunOptions): Promise<Encoded>;
  /** What the settings in a picture say of the model's own options. */
  settings(options: TextRunOptions, prompt: number): Readonly<Record<string, unknown>>;
}
