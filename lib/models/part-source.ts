import type { JsonObject } from '../files/json.js';
import type { CLIPTokenizer } from '../tokenizers/clip-tokenizer.js';
import type { FindOptions, NetworkFiles } from './model-files.js';

export interface WaitOptions {
  signal?: AbortSignal | undefined;
}

export interface NetworkOptions extends FindOptions {
  /** Name of the weight file in a folder, without its ending; that of diffusers and transformers by default. */
  stem?: string | undefined;
}

/** A JSON file that describes a model, or what stands in for it. */
export interface JsonPart {
  /** What messages call it. */
  readonly path: string;
  readonly text: string;
  readonly value: JsonObject;
}

/**
 * Where the parts of a model come from: a folder in the diffusers layout, a single file of weights, or either with some
 * of its parts replaced. Parts have the names of diffusers' folders: `unet`, `text_encoder_2`; '' is the whole.
 */
export interface PartSource {
  /** The folder or file, for messages. */
  readonly place: string;
  /** Files and folders that hold the weights. */
  readonly places: readonly string[];
  /** Whether there is such a part. */
  has(part: string): boolean;
  /** Whether there is such a JSON file: `scheduler/scheduler_config.json`. */
  hasJson(name: string): boolean;
  /** What messages call a JSON file. */
  jsonPath(name: string): string;
  /** @throws DeepCacheError ERR_DEEPCACHE_INVALID_CONFIG naming it. */
  json(name: string, options?: WaitOptions): Promise<JsonPart>;
  /** Where a network's configuration and weights are. */
  network(part: string, options?: NetworkOptions): Promise<NetworkFiles>;
  tokenizer(part: string, options?: WaitOptions): Promise<CLIPTokenizer>;
}
