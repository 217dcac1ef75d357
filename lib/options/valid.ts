import type { ImageInput } from '../images/input.js';
import type { Tensor } from '../tensor.js';

type Texts = string | readonly string[];

/** Options of which one at most may be given. */
type AtMostOne<A extends PropertyKey, B extends PropertyKey> =
  | { readonly [Name in A]?: never }
  | { readonly [Name in B]?: never };

/** Texts or what was encoded from them, and of these the negative ones beside the others. */
type Prompted =
  | { readonly prompt: Texts; readonly promptEmbeds?: never; readonly negativePromptEmbeds?: never }
  | { readonly promptEmbeds: Tensor; readonly prompt?: never; readonly negativePromptEmbeds?: never }
  | { readonly promptEmbeds: Tensor; readonly prompt?: never; readonly negativePrompt?: never };

/** SDXL's, where pooled embeddings go with the others. */
type PooledPrompted =
  | {
      readonly prompt: Texts;
      readonly promptEmbeds?: never;
      readonly negativePromptEmbeds?: never;
      readonly pooledPromptEmbeds?: never;
      readonly negativePooledPromptEmbeds?: never;
    }
  | {
      readonly promptEmbeds: Tensor;
      readonly pooledPromptEmbeds: Tensor;
      readonly prompt?: never;
      readonly negativePrompt?: never;
    };

/** A picture and where it is repainted, or neither. */
type Repainted =
  | { readonly image: ImageInput; readonly maskImage: ImageInput }
  | { readonly image?: never; readonly maskImage?: never };

type Has<Options, Name extends PropertyKey, Rule> = Name extends keyof Options ? Rule : unknown;

type Pictured<Options> = Has<Options, 'image', { readonly image: ImageInput }> &
  Has<Options, 'maskImage', { readonly maskImage: ImageInput }>;

/**
 * Options of a family as its fields, in the combinations that a run takes: others do not compile. What types cannot
 * tell, such as how many seeds there must be, is checked when the run is asked for.
 */
export type Valid<Options> = Options &
  // Models of pixels alone make pictures from noise, too.
  ('batchSize' extends keyof Options ? Repainted : Pictured<Options>) &
  Has<Options, 'depthMap', { readonly depthMap: ImageInput }> &
  Has<Options, 'classLabels', { readonly classLabels: number | readonly number[] }> &
  Has<Options, 'seeds', AtMostOne<'seed', 'seeds'>> &
  Has<Options, 'timesteps', AtMostOne<'timesteps', 'sigmas'>> &
  ('pooledPromptEmbeds' extends keyof Options ? PooledPrompted : Has<Options, 'promptEmbeds', Prompted>);
