import type { DeepCacheErrorCode } from '../errors.js';
import type { FreeU } from '../guidance/free-u.js';
import type { AttentionUse, HistorySlot, StepTable } from '../schedulers/table.js';
import type { AdaptedWeight, AdapterTerm } from './adapter-terms.js';
import type { Floats, NativeFloats } from './floats.js';
import type { NativeInception, TraceRequest } from './inception-types.js';
import type { Job } from './job.js';
import type { FreeURequest, MaskedBlurRequest } from './op-requests.js';
import type { NativeSafetensorsFile } from './safetensors-file.js';

export type { Floats, NativeFloats } from './floats.js';
export type { Job } from './job.js';

/** @internal What native/addon exports. Arrays are NCHW fp32 unless said otherwise. */
export interface NativeAddon {
  readonly version: string;
  /** SHA-256 of this file when the addon was built; empty where it was built without it, from the package. */
  readonly contract: string;
  /** What native errors are made with, here and in each worker. */
  setErrorClass(errorClass: new (code: DeepCacheErrorCode, message: string) => Error): void;
  /** What step tables hold at most: TABLE_LIMITS of lib/schedulers/table.ts. */
  readonly tableLimits: {
    readonly slots: readonly string[];
    readonly rows: number;
    readonly programs: number;
    readonly assignments: number;
    readonly terms: number;
  };
  /** Every backend, usable or not; never throws and needs no GPU. */
  devices(): DeviceInfo[];
  /** Where the CUDA library is when none lies beside the addon; too late once a device was asked for. */
  setCudaLibrary(path: string): void;
  /** Bytes that this process can still take: the machine's or its cgroup's limit. */
  availableMemory(): number;
  /** Resident private memory of this process in bytes (RssAnon), 0 where unknown. */
  residentMemory(): number;

  readonly Backend: new (options: {
    device: string;
    threads: number;
    /** Activations and weights on a GPU; products on the CPU, where 'fp16' is fp32. 'fp8' is about products only. */
    dtype?: 'fp16' | 'bf16' | 'fp8';
    /** On a GPU: programs measure tiles that nobody has measured, and keep what they found. */
    autotune?: boolean;
  }) => NativeBackend;
  /** A U-Net, or a ControlNet. On the engine of the U-Net that it goes `beside`, whose runs may take it. */
  loadUnet(backend: NativeBackend, source: ModelSource, beside?: NativeUnet): Job<NativeUnet>;
  loadTextEncoder(backend: NativeBackend, source: ModelSource): Job<NativeTextEncoder>;
  loadImageEncoder(backend: NativeBackend, source: ModelSource): Job<NativeImageEncoder>;
  loadIpAdapter(backend: NativeBackend, source: ModelSource): Job<NativeIpAdapter>;
  /** Throws ERR_DEEPCACHE_INVALID_ARGUMENT unless its features have the shapes of the U-Net's levels. */
  loadT2iAdapter(backend: NativeBackend, source: ModelSource, unet: NativeUnet): Job<NativeT2iAdapter>;
  loadVae(backend: NativeBackend, source: ModelSource): Job<NativeVae>;
  loadUpscaler(backend: NativeBackend, source: ModelSource): Job<NativeUpscaler>;
  /** Of its source only the weights count: there is one such network. */
  loadInception(backend: NativeBackend, source: ModelSource): Job<NativeInception>;

  /** What the architecture costs, from its configuration alone; `branches` false: the full pass only, much sooner. */
  planUnet(config: string, size: UnetSize, branches?: boolean): Job<UnetPlanInfo>;
  planTextEncoder(config: string, size: { batch: number; length: number }): PlanInfo;
  /** Sizes in pixels of the picture. */
  planT2iAdapter(config: string, size: VaeSize): WeightCosts & { readonly encode: PlanInfo };
  planVae(config: string, size: VaeSize): Job<VaePlanInfo>;
  /** Every tensor that the model's configuration asks for, in the published shapes. */
  weightShapes(model: ModelKind, config: string): TensorShape[];

  readonly Generator: new (seed: bigint) => NativeGenerator;
  readonly Floats: new (count: number) => NativeFloats;
  readonly SafetensorsFile: new (path: string) => NativeSafetensorsFile;
  /** What files with the tensors `stored` call the `wanted` ones, as models find them when they are loaded. */
  matchTensors(stored: readonly string[], wanted: readonly string[]): (string | undefined)[];
  /** A tensor's values with these terms on them, in fp32: what a model with such adapters packs. Needs no model. */
  adaptedTensor(tensor: TensorSource, terms: readonly AdapterTerm[]): Job<Float32Array>;
  /** What FreeU makes of an up layer's inputs, on tensors alone: x ++ skip. */
  freeU(backend: NativeBackend, request: FreeURequest): Job<Float32Array>;
  /** What self-attention guidance makes of latents, on tensors alone. */
  maskedBlur(backend: NativeBackend, request: MaskedBlurRequest): Job<Float32Array>;
  /** tr((A B)^(1/2)) of two covariances. */
  traceOfRoot(request: TraceRequest): Job<number>;
  /** Values of native/runtime/synth.h's generator. */
  synthesize(name: string, shape: readonly number[]): Float32Array;
  /** Writes a file of synthetic weights. */
  writeSynthetic(
    options: { path: string; tensors: readonly TensorShape[]; dtype: 'float16' | 'float32' },
    onProgress?: (done: number, total: number) => void,
  ): Job<void>;
}

/** A backend, usable or not. */
export interface DeviceInfo {
  /** What the `device` option takes: 'cpu', 'cuda:0', or 'cuda' when it is not available. */
  readonly device: string;
  /** What the maker calls it. */
  readonly name: string;
  /** Whether it can be used. */
  readonly available: boolean;
  /** Why it is not available. */
  readonly reason?: string;
}

export interface NativeBackend {
  readonly device: string;
  readonly threads: number;
  /** Of activations, or what products are of: 'fp8', and 'bf16' on the CPU. The rest is fp16 on a GPU, fp32 on the CPU. */
  readonly dtype: 'fp32' | 'fp16' | 'bf16' | 'fp8';
  /**
   * What kernels are for: 'baseline', 'avx2' or 'avx512' on the CPU, with 'bf16' also 'avx512_bf16', 'amx' or 'neon_bf16';
   * 'sm_90' or the like on a GPU.
   */
  readonly isa: string;
  /** Bytes that can still be allocated: of the machine or its cgroup, or of the GPU. */
  availableMemory(): number;
  /** Promises so much of it to a run; null when there is too little. */
  reserve(bytes: number): NativeReservation | null;
}

/** Memory that a run may allocate: others do not count on it meanwhile. */
export interface NativeReservation {
  /** Jobs that `start` starts take their memory from it. */
  within<T>(start: () => T): T;
  /** Gives back what is left. */
  release(): void;
}

export type ModelKind = 'unet' | 'text_encoder' | 'image_encoder' | 'vae' | 'upscaler' | 't2i_adapter';

export interface ModelSource {
  /** The text of config.json. */
  readonly config: string;
  /** Safetensors files: one, or the shards of one model. */
  readonly files?: readonly string[] | undefined;
  /** Instead: where in any files the tensors lie, at most 100,000. Values may belong to several. */
  readonly tensors?: readonly TensorSource[] | undefined;
}

/** Where the values of a tensor lie. */
export interface TensorSource {
  /** What the model calls it: a name that it would be found by in a safetensors file. */
  readonly name: string;
  readonly file: string;
  /** In safetensors' words; F32, F16, BF16, F64, F8_E4M3 and F8_E5M2 can be computed with. */
  readonly dtype: string;
  /** What the model wants. */
  readonly shape: readonly number[];
  /** Bytes from the file's start to the first value. */
  readonly offset: number;
  /** For two axes: the values of an [out, in] lie there as those of an [in, out]. Default false. */
  readonly transposed?: boolean | undefined;
}

/** What takes adapters. */
export interface Adaptable {
  /**
   * Puts these terms in the place of those that the named weights had, when the jobs before have ended, and packs what
   * they touch again where it lies. All or nothing. Resolves with how many packed weights it were.
   */
  adapt(weights: readonly AdaptedWeight[]): Job<number>;
  /** A weight with its adapters, in fp32, before it is packed. */
  readWeight(name: string): Job<Float32Array>;
}

export interface TensorShape {
  readonly name: string;
  readonly shape: readonly number[];
}

export interface UnetSize {
  /** Model batch: the outputs of guidance included. */
  readonly batch: number;
  /** Latent pixels. */
  readonly height: number;
  readonly width: number;
  readonly contextLength: number;
  /** Samples that are one video; see {@link VideoShape}. */
  readonly frames?: number;
  /** Tokens of the pictures beside the text (IP-Adapter), for each adapter. */
  readonly imageTokens?: readonly number[];
  /** Features that T2I-Adapters add; default none. */
  readonly blockFeatures?: number;
  /** See {@link VideoShape}. */
  readonly frameWindows?: FrameWindows;
  /** Whether FreeU is on. Default false. */
  readonly freeU?: boolean;
  /** Of so many outputs of each image the last one is computed behind the others; see Program. Default: all at once. */
  readonly degradedOutputs?: number | undefined;
  /** What the call does about outputs of attention; see Program. */
  readonly cross?: AttentionUse | undefined;
  readonly self?: AttentionUse | undefined;
  /** Whose sizes of values and weights are asked for; the CPU by default. */
  readonly device?: string;
  /** Of the CPU's weights: 'bf16', else fp32. */
  readonly dtype?: string;
}

/** Overlapping windows of a video's frames; where several give a frame it is their weighted mean. */
export interface FrameWindows {
  /** Frames of each, at most 128. */
  readonly length: number;
  /** From one to the next, at most their length. */
  readonly stride: number;
  readonly weighting: 'pyramid' | 'flat' | 'delayed_reverse_sawtooth';
}

export interface VaeSize {
  readonly batch: number;
  /** Latent pixels. */
  readonly height: number;
  readonly width: number;
  /** See {@link UnetSize}. */
  readonly device?: string;
  readonly dtype?: string;
}

/** Multiply-accumulates, for the whole batch. */
export interface PlanCosts {
  /** As DeepCache's flops.py counts. */
  readonly repo: number;
  /** Convolutions, linear layers and both attention products. */
  readonly complete: number;
  /** What running our plan takes. */
  readonly executed: number;
  readonly ops: number;
}

export interface PlanInfo extends PlanCosts {
  readonly arenaBytes: number;
  /** Buffers around the plan: inputs, outputs, keys and values, kept features. */
  readonly externalBytes: number;
}

export interface WeightCosts {
  readonly parameters: number;
  /** Bytes of the weights as the device keeps them. */
  readonly weightBytes: number;
}

export interface UnetPlanInfo extends WeightCosts {
  readonly full: PlanInfo;
  /**
   * Of a ControlNet what runs once for a run, before its calls: the reference runs it in each, so the other counts hold it
   * too, but for `executed`. Its branches say what a live retrieve step takes of it.
   */
  readonly once?: PlanCosts;
  /** A retrieve step runs in the memory of the full one. */
  readonly branches: readonly (PlanCosts & {
    readonly branch: number;
    /** The module whose output is cached, in diffusers' names. */
    readonly feature: string;
    /** Modules that a retrieve step runs, in order. */
    readonly runs: readonly string[];
    /** [n, c, h, w] */
    readonly featureShape: readonly number[];
    readonly featureBytes: number;
  })[];
}

export interface VaePlanInfo extends WeightCosts {
  /** Undefined for what only decodes. */
  readonly encode?: PlanInfo;
  readonly decode: PlanInfo;
}

export interface VideoShape {
  /**
   * So many samples that follow each other are one video, 1 by default. A video U-Net has one context and one row of
   * time ids for each; in other U-Nets all frames take keys and values of self attention from the first of them.
   */
  readonly frames?: number;
  /** U-Nets with motion modules: in which these see the frames; all at once by default. */
  readonly frameWindows?: FrameWindows;
  /** Video U-Nets: diffusers' order of temporal contexts before v0.28. Default false. */
  readonly oldContexts?: boolean;
}

export interface UnetConditions {
  /** [n, length, width] */
  readonly context?: Floats;
  readonly contextLength?: number;
  /** SDXL: [n, pooled] and [n, ids]. Videos: ids only. */
  readonly textEmbeds?: Floats;
  readonly timeIds?: Floats;
  /** U-Nets that were distilled with guidance: the embedded guidance scale, [n, timeCondWidth]; zeros by default. */
  readonly timestepCond?: Floats;
  /** [n, contextLength]: 1 for the tokens that are read, 0 for the others; all by default. */
  readonly contextMask?: Floats;
  /** [n, imageWidth], where the U-Net reads image embeddings. */
  readonly imageEmbeds?: Floats;
  /** [n, classWidth], where it has classes: whole numbers below classCount where that is not 0. */
  readonly classLabels?: Floats;
  /** Pictures beside the text, at most 16. */
  readonly imagePrompts?: readonly ImagePrompt[];
  /** Factors of backbones and skips in the two deepest up blocks; not for video U-Nets. */
  readonly freeU?: FreeU;
  /**
   * Places, among the cross attentions of a full pass, of the transformer blocks whose self attention is the identity on
   * its values for the last of each image's outputs (perturbed-attention guidance); in a single pass for all samples.
   */
  readonly perturbed?: readonly number[];
}

/** What an IP-Adapter brings to a run. */
export interface ImagePrompt {
  readonly adapter: NativeIpAdapter;
  /** [n, length, context width] */
  readonly tokens: Float32Array;
  readonly length: number;
  /** Of each cross attention, in the order of a full pass. */
  readonly scales: readonly number[];
}

/** What a run, or a pass, takes from outside of the U-Net. */
export interface ControlRequest {
  /** ControlNets on the U-Net's engine, at most 16: their outputs, scaled, are added to its skips. */
  readonly controls?: readonly {
    readonly network: NativeUnet;
    /** [pictures, channels, h * scale, w * scale] from 0 to 1, whose number divides the images; several of a union. */
    readonly images: readonly Floats[];
    /** Of a union: the kinds of the images. */
    readonly kinds?: readonly number[];
    /** For each row of the table; a single one for a pass. */
    readonly scales: readonly number[];
    /** Deeper outputs count more; with guidance only the conditional half sees the network. Default false. */
    readonly guess?: boolean;
  }[];
  /** A T2I-Adapter's: [pictures, c, h, w] for each level, and one more for the mid block where there is one. */
  readonly blockFeatures?: { readonly levels: readonly Floats[]; readonly scales: readonly number[] };
}

export interface NativeUnet extends Adaptable {
  /** 'cpu', 'cuda:0' ... */
  readonly device: string;
  readonly inChannels: number;
  readonly outChannels: number;
  /** Of the text; 0: it reads none. */
  readonly contextWidth: number;
  readonly imageWidth: number;
  readonly classWidth: number;
  readonly classCount: number;
  readonly sampleHeight: number;
  readonly sampleWidth: number;
  /** Of the guidance scale's embedding; 0 when the U-Net takes none. */
  readonly timeCondWidth: number;
  /** Of a ControlNet: its picture's pixels for one of the latents, and its channels; 0 for U-Nets. */
  readonly controlScale: number;
  readonly controlChannels: number;
  /** Of a ControlNet-Union: how many kinds of pictures it knows; otherwise 0. */
  readonly controlKinds: number;
  /** Frames that a video U-Net was trained on, else 1. */
  readonly frames: number;
  readonly levels: number;
  /** Of each level, the finest first. */
  readonly layersPerBlock: readonly number[];
  /** Number of valid branches. */
  readonly branches: number;

  forward(
    request: UnetConditions &
      ControlRequest &
      VideoShape & {
        readonly batch: number;
        readonly height: number;
        readonly width: number;
        readonly sample: Float32Array;
        /** One, or one for each sample. */
        readonly timesteps: readonly number[];
        /** Full pass: branches whose feature is kept. */
        readonly features?: readonly number[];
        /** Run a retrieve step of this branch instead. */
        readonly retrieve?: number;
        /** ControlNets only, see `controls`, with a picture for each sample: the result holds what they give. */
        readonly images?: readonly Float32Array[];
        readonly kinds?: readonly number[];
        /** Collect the values that plans label with module paths. */
        readonly taps?: boolean;
      },
  ): Job<{ out: Float32Array; taps?: Tap[]; residuals?: Float32Array[] }>;
  /** The feature that the last full pass kept. */
  feature(branch: number): { data: Float32Array; shape: number[] };
  denoise(request: DenoiseRequest, onStep?: (step: NativeStep) => void): Job<DenoiseResult>;
  /** The next row of jobs that joined by these numbers, after the ticks before; those that have ended are left out. */
  tick(jobs: readonly number[]): void;
  /** What was made for it so far: plans for shapes of runs, what was compiled of them; weights packed again. */
  counters(): { sessions: number; programs: number; repacked: number };
  /** Bytes held now. */
  memory(): { weights: number; arena: number; buffers: number };
  /** Frees arenas and buffers; the weights stay. */
  trim(): void;
  /** Frees everything when no job runs any more; later calls throw ERR_DEEPCACHE_DISPOSED. */
  dispose(): void;
}

/** A labelled value in NHWC order. */
export interface Tap {
  readonly name: string;
  /** [n, h, w, c] */
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

export interface DenoiseRequest extends UnetConditions, VideoShape, ControlRequest {
  /** Images. */
  readonly batch: number;
  /**
   * What guidance combines: conditions hold as many for each image, all images' first ones first. 2 with classifier-free
   * guidance: [negative, positive].
   */
  readonly outputs: 1 | 2 | 3;
  readonly height: number;
  readonly width: number;
  readonly table: StepTable;
  /** [b, c, h, w], scaled by the scheduler's initNoiseSigma. */
  readonly latents: Floats;
  /** [draws, b, c, h, w], or what makes them. U-Nets with motion modules: [draws, videos, c, frames, h, w]. */
  readonly noise?: Floats | NoiseDraws;
  /** Constant extra U-Net input channels, [outputs * b, in - c, h, w]. */
  readonly constant?: Floats;
  /** For rows with a blend: [b, 1, h, w], [b, c, h, w], [b, c, h, w]. */
  readonly mask?: Floats;
  readonly init?: Floats;
  readonly initNoise?: Floats;
  /** What the table's history slots hold at the start, [b, c, h, w]; zeros by default. */
  readonly slots?: HistorySlots;
  /** Rows after which onStep receives x0 (a preview), and after which it receives x. */
  readonly previewEvery?: number;
  readonly latentsEvery?: number;
  /**
   * Share passes with the other jobs of this U-Net that join, each at its own row. Values are those of a run alone. A
   * number: rows are run when `tick` names the job by it, which it may when onStep is told row -1.
   */
  readonly join?: boolean | number;
}

/** Draws of noise that a run makes when its rows need them. */
export interface NoiseDraws {
  /** One for the whole batch, or one for each image or video; the run has copies of them. */
  readonly generators: readonly NativeGenerator[];
  /** For every draw, whether the table names it: the others are made, and dropped. */
  readonly used: readonly boolean[];
}

export interface NativeStep {
  /** Index of the row that has just run; those without a call are told where ticks make them, alone. */
  readonly row: number;
  /** Milliseconds that it took. */
  readonly milliseconds: number;
  /** The program of the table that ran; none for a prediction. */
  readonly program?: number;
  /** Of a row with a `skip` that measured it. */
  readonly change?: number;
  readonly x0?: Float32Array;
  readonly x?: Float32Array;
}

/** The slots of a step table that outlive its rows. */
export type HistorySlots = Partial<Record<HistorySlot, Float32Array>>;

export interface DenoiseResult {
  readonly latents: Float32Array;
  /** The history slots that the table uses, after the last row: another run may go on from there. */
  readonly slots: HistorySlots;
  /** Of every row, what NativeStep says. */
  readonly rowMilliseconds: Float64Array;
  readonly rowPrograms: readonly (number | undefined)[];
  readonly rowChanges: readonly (number | undefined)[];
  /** Keys, values and time projections before the first row. */
  readonly prepareMilliseconds: number;
}

export interface NativeTextEncoder extends Adaptable {
  readonly width: number;
  readonly pooledWidth: number;
  readonly layers: number;
  readonly maxLength: number;
  readonly vocabularySize: number;
  encode(request: {
    /** [n, length] */
    readonly ids: Int32Array;
    readonly batch: number;
    /** Layers that `last` leaves out at the end (clip_skip). */
    readonly skip?: number;
    /** Hidden states to return: 0 (embeddings) .. layers. */
    readonly hidden?: readonly number[];
    /** [rows, width]: embeddings of the ids from vocabularySize on. */
    readonly added?: Float32Array;
  }): Job<{ last: Float32Array; pooled: Float32Array; hidden: Float32Array[] }>;
  memory(): { weights: number };
  dispose(): void;
}

/** CLIP's image encoder. */
export interface NativeImageEncoder {
  /** Pixels of its pictures, which are square. */
  readonly imageSize: number;
  readonly projection: number;
  /** Of each of its tokens, and how many there are. */
  readonly width: number;
  readonly tokens: number;
  /**
   * Pixels [n, 3, size, size], normalised -> all tokens [n, tokens, width], behind the last layer and the one before, and
   * embeddings [n, projection].
   */
  encode(request: {
    readonly pixels: Float32Array;
    readonly batch: number;
  }): Job<{ penultimate: Float32Array; last: Float32Array; embeds: Float32Array }>;
  memory(): { weights: number };
  dispose(): void;
}

/** An IP-Adapter. */
export interface NativeIpAdapter {
  /** What an image encoder made of pictures, [n, length, width] -> [n, tokens, context width]. */
  project(request: {
    readonly image: Float32Array;
    readonly batch: number;
    /** 1 of an embedding. */
    readonly length: number;
  }): Job<Float32Array>;
  memory(): { weights: number };
  dispose(): void;
}

/** A T2I-Adapter beside a U-Net. */
export interface NativeT2iAdapter {
  /** Channels of its picture. */
  readonly inChannels: number;
  /** Sides of pictures are multiples of it. */
  readonly multiple: number;
  /** How many it gives: one for each level, or one more for the mid block. */
  readonly features: number;
  /** Pixels of the picture for one of the U-Net's, in each axis. */
  readonly scale: number;
  /** A picture from 0 to 1, [n, channels, height, width] -> a feature for each level, [n, c, h, w]: see {@link ControlRequest}. */
  encode(request: {
    readonly image: Float32Array;
    readonly batch: number;
    readonly height: number;
    readonly width: number;
  }): Job<Float32Array[]>;
  memory(): { weights: number };
  dispose(): void;
}

export interface NativeVae {
  readonly device: string;
  readonly inChannels: number;
  readonly outChannels: number;
  readonly latentChannels: number;
  readonly scalingFactor: number;
  /** Image pixels of a latent one, in each axis. */
  readonly scale: number;
  /** Whether it encodes moments; otherwise (AutoencoderTiny) latents themselves. */
  readonly hasPosterior: boolean;
  /** [n, in, h, w] in [-1, 1] -> moments [n, 2 * latent, h / scale, w / scale]. */
  encode(request: VaeRequest): Job<VaeResult>;
  /** Latents divided by the scaling factor -> [n, out, h * scale, w * scale], not clamped. Of a video: its frames. */
  decode(request: VaeRequest): Job<VaeResult>;
  memory(): { weights: number; peakArena: number };
  dispose(): void;
}

export interface VaeRequest {
  readonly data: Floats;
  readonly batch: number;
  readonly height: number;
  readonly width: number;
  readonly taps?: boolean;
  /** Decoding with a codebook: whether latents are replaced by its rows. Default true. */
  readonly quantize?: boolean;
  /** Decoding with a mask: what is kept [n, out, h, w], and where not [n, 1, h, w], in the result's size. */
  readonly image?: Floats;
  readonly mask?: Floats;
}

/** A network that enlarges pictures. */
export interface NativeUpscaler {
  readonly device: string;
  readonly inChannels: number;
  readonly outChannels: number;
  /** Pixels of the result for one of the picture, in each axis. */
  readonly scale: number;
  /** What a picture's sides must be multiples of. */
  readonly multiple: number;
  /** [n, in, h, w] in [0, 1] -> [n, out, h * scale, w * scale], not clamped. */
  upscale(request: {
    readonly data: Floats;
    readonly batch: number;
    readonly height: number;
    readonly width: number;
  }): Job<VaeResult>;
  memory(): { weights: number };
  dispose(): void;
}

export interface VaeResult {
  readonly data: Float32Array;
  /** [n, c, h, w] */
  readonly shape: readonly number[];
  readonly taps?: Tap[];
}

export interface NativeGenerator {
  /** torch.randn(count, dtype=...). 'float16' values come widened. */
  randn(count: number, dtype?: 'float32' | 'float16' | 'float64'): Float32Array | Float64Array;
  /** torch.randn(count) on a thread of its own; until it ends, the other calls throw. */
  draw(count: number): Job<Float32Array>;
  /** torch.rand(count). */
  rand(count: number): Float32Array;
  /** 32 random bits. */
  nextUint32(): number;
  seed(seed: bigint): void;
}
