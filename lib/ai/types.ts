// The AI SDK's interface of image models (version 3 of its provider's, which its versions 6 and 7 take), as far as it is
// used here: users of it have the package, and nobody else needs it.

/** A picture that a call starts from. */
export type ImageFile =
  | { type: 'file'; mediaType: string; data: string | Uint8Array }
  | { type: 'url'; url: string };

/** What the SDK asks for. */
export interface ImageCall {
  /** What to show. */
  prompt: string | undefined;
  /** How many pictures. */
  n: number;
  /** Of the pictures, in pixels. */
  size: `${number}x${number}` | undefined;
  /** Not known here: `size` says more. */
  aspectRatio: `${number}:${number}` | undefined;
  /** The same seed makes the same pictures. */
  seed: number | undefined;
  /** Pictures to start from: one at most. */
  files: ImageFile[] | undefined;
  /** Transparent, or white, where the picture is to be repainted. */
  mask: ImageFile | undefined;
  /** Options of `generate`, under the name `deepcache`. */
  providerOptions: Record<string, Record<string, unknown>>;
  /** Ends the run. */
  abortSignal?: AbortSignal;
}

/** What was asked for and is not done. */
export interface ImageWarning {
  /** The SDK's word for it. */
  type: 'unsupported';
  /** The name of the option. */
  feature: string;
  /** Why. */
  details?: string;
}

/** What a call gives. */
export interface ImageAnswer {
  /** PNG files, with their settings inside. */
  images: Uint8Array[];
  /** What was not done. */
  warnings: ImageWarning[];
  /** Of each picture its seed, how much faster than without the cache it was made, and what its run did otherwise. */
  providerMetadata: { deepcache: { images: { seed: number | string; speedup: number; notes: string[] }[] } };
  /** What the SDK wants to know of the answer. */
  response: { timestamp: Date; modelId: string; headers: undefined };
}

/** A model as the AI SDK takes it: `generateImage({ model, prompt })`. */
export interface AiImageModel {
  /** Of the interface. */
  readonly specificationVersion: 'v3';
  /** 'deepcache' */
  readonly provider: string;
  /** The model's name. */
  readonly modelId: string;
  /** The SDK makes several calls for more. */
  readonly maxImagesPerCall: number;
  /** Called by the SDK. */
  doGenerate(call: ImageCall): Promise<ImageAnswer>;
}
