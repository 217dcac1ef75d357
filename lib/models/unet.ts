import { validateBranch } from '../deepcache/index.js';
import type { AdaptedWeight } from '../native/adapter-terms.js';
import { native } from '../native/binding.js';
import { finish } from '../native/device.js';
import type { NativeBackend, NativeUnet, PlanInfo, TensorShape, UnetSize } from '../native/types.js';
import { loadNative, type ModelLoadOptions, type NetworkFiles, repaired, sourceOf } from './model-files.js';
import { Plans } from './plans.js';

/** One DeepCache branch: what a retrieve step costs and keeps. */
export interface BranchInfo {
  /** The number that `cache.branch` takes. */
  branch: number;
  /** The module whose output is kept from the last full step, in diffusers' names. */
  feature: string;
  /** [n, c, h, w] */
  featureShape: readonly number[];
  /** Bytes of what is kept between calls. */
  featureBytes: number;
  /** Modules that a retrieve step runs, in order. */
  runs: readonly string[];
  /** Multiply-accumulates of a retrieve step. */
  macs: MacsInfo;
  /** The same as a share of a full step's, by the `complete` count. */
  share: number;
}

/** Multiply-accumulates: as DeepCache's own counter has them, complete, and as our plan runs them. */
export type MacsInfo = Pick<PlanInfo, 'repo' | 'complete' | 'executed'>;

/** The size of a U-Net call; what is left out is the model's own. */
export type SizeOptions = Partial<UnetSize>;

export interface PlanOptions {
  signal?: AbortSignal | undefined;
}

/** What all U-Nets are: weights on a device, and what their runs cost. */
export class UNetModel {
  /** Of full steps. */
  readonly #plans = new Plans((size: UnetSize) => native().planUnet(this.configText, size, false));
  /** With those of retrieve steps, which take longer to make. */
  readonly #branchPlans = new Plans((size: UnetSize) => native().planUnet(this.configText, size));

  protected constructor(
    /** @internal */
    readonly native: NativeUnet,
    private readonly configText: string,
    /** Its config.json. */
    readonly config: Readonly<Record<string, unknown>>,
    /** @internal Where it computes. */
    readonly backend: NativeBackend,
  ) {}

  /** @internal */
  static async load<T extends UNetModel>(
    this: { readonly prototype: T },
    backend: NativeBackend,
    found: NetworkFiles,
    { signal, repair, beside }: ModelLoadOptions = {},
  ): Promise<T> {
    const own = repaired(found, repair);
    const { config, configText } = own;
    const start = () => native().loadUnet(backend, sourceOf(own), beside);
    // biome-ignore lint/complexity/noThisInStatic: the class that it was called on decides what is made
    const model = this as unknown as new (
      handle: NativeUnet,
      text: string,
      value: typeof config,
      on: typeof backend,
    ) => T;
    return new model(await loadNative(found, start, signal), configText, config, backend);
  }

  /** Its configuration. */
  toJSON(): object {
    return this.config;
  }

  /** What console.log shows. */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return `${this.constructor.name} on ${this.native.device}`;
  }

  /** Height of the samples that the model was trained on: latent pixels, where it works on latents. */
  get sampleHeight(): number {
    return this.native.sampleHeight;
  }

  /** Width of the latents that it was trained on. */
  get sampleWidth(): number {
    return this.native.sampleWidth;
  }

  /** Width of the embedded guidance scale that it takes (`time_cond_proj_dim`); 0: none. */
  get timeCondWidth(): number {
    return this.native.timeCondWidth;
  }

  /** Channels of its input: 4, for inpainting 9. */
  get inChannels(): number {
    return this.native.inChannels;
  }

  /** Width of the context: of the text encoder's states. */
  get contextWidth(): number {
    return this.native.contextWidth;
  }

  /** Throws ERR_DEEPCACHE_INVALID_ARGUMENT unless the U-Net has the branch. */
  validateBranch(branch: number): number {
    return validateBranch(branch, this.native.levels, this.native.layersPerBlock);
  }

  /**
   * Every valid DeepCache branch, from the cheapest retrieve step to the dearest.
   *
   * @param size in latent pixels; by default one sample of the model's own size.
   * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for a size that the U-Net does not take; the signal's reason.
   */
  async branches(size: SizeOptions = {}, { signal }: PlanOptions = {}): Promise<BranchInfo[]> {
    const { full, branches } = await this.#branchPlans.of(this.size(size), signal);
    return branches.map(
      ({ branch, feature, featureShape, featureBytes, runs, repo, complete, executed }) => ({
        branch,
        feature,
        featureShape: [...featureShape],
        featureBytes,
        runs,
        macs: { repo, complete, executed },
        share: complete / full.complete,
      }),
    );
  }

  /** Multiply-accumulates of a full step; sizes and errors are those of {@link branches}. */
  async macs(size: SizeOptions = {}, { signal }: PlanOptions = {}): Promise<MacsInfo> {
    const { repo, complete, executed } = await this.#full(size, signal);
    return { repo, complete, executed };
  }

  /** Bytes that a run of the size allocates besides the weights: activations, prompt keys and values. */
  async runBytes(size: SizeOptions, { signal }: PlanOptions = {}): Promise<number> {
    const { arenaBytes, externalBytes } = await this.#full(size, signal);
    return arenaBytes + externalBytes;
  }

  /** Bytes held now: weights, the arena of the last size that was run, its other buffers. */
  memory(): { weights: number; arena: number; buffers: number } {
    return this.native.memory();
  }

  /** Plans that were made for runs and compiled so far: a size and a cache that were run before need no new ones. */
  get plansMade(): number {
    const { sessions, programs } = this.native.counters();
    return sessions + programs;
  }

  /** @internal Every weight that it has, in diffusers' names. */
  weightShapes(): TensorShape[] {
    return native().weightShapes('unet', this.configText);
  }

  /** @internal See Adaptable of lib/native/types.ts. */
  async adapt(weights: readonly AdaptedWeight[]): Promise<void> {
    await finish(() => this.native.adapt(weights));
  }

  /** Frees it when no job runs any more; later calls are errors with ERR_DEEPCACHE_DISPOSED. */
  dispose(): void {
    this.native.dispose();
  }

  /** Fills in what is left out. */
  protected size(options: SizeOptions): UnetSize {
    const { batch = 1, height = this.sampleHeight, width = this.sampleWidth } = options;
    const { contextLength = 77, frames = 1, imageTokens = [], blockFeatures = 0, freeU = false } = options;
    const { cross, self, degradedOutputs } = options;
    const beside = {
      imageTokens,
      blockFeatures,
      freeU,
      ...(degradedOutputs !== undefined && { degradedOutputs }),
      ...(cross && { cross }),
      ...(self && { self }),
    };
    return { batch, height, width, contextLength, frames, ...beside, device: this.native.device };
  }

  async #full(size: SizeOptions, signal: AbortSignal | undefined): Promise<PlanInfo> {
    return (await this.#plans.of(this.size(size), signal)).full;
  }
}

/** A U-Net of the Stable Diffusion family (diffusers' UNet2DConditionModel). */
export class UNet2DConditionModel extends UNetModel {}
