import { readEmbeddingFile } from '../../embeddings/embedding-file.js';
import type { TextualInversion } from '../../embeddings/textual-inversions.js';
import { invalidArgument } from '../../errors.js';
import { checkFreeU, type FreeU } from '../../guidance/free-u.js';
import { IpAdapterPipeline } from '../../ip-adapter/ip-adapter-pipeline.js';
import { checkSignal } from '../../options/checks.js';
import type { GenerateOptions } from '../inputs/options.js';
import type { SDParts, XLParts } from '../loading/parts.js';

/** What {@link TextPipeline.loadTextualInversion} takes. */
export interface TextualInversionOptions {
  /** What stands for it in prompts: by default what the file calls it, else the file's name without its ending. */
  token?: string | undefined;
  /** Stops reading the file. */
  signal?: AbortSignal | undefined;
}

/** A pipeline that reads prompts. */
export abstract class TextPipeline<
  Options extends GenerateOptions,
  Parts extends SDParts | XLParts,
> extends IpAdapterPipeline<Options, Parts> {
  /**
   * Loads a textual inversion: vectors that a token in prompts and negative prompts stands for from the next run on.
   * The token is found wherever it stands, in words too, and case counts. All pipelines over the same models have it, see
   * {@link DiffusionPipeline.from}.
   *
   * @param file of the web UI, diffusers or the original code; for SDXL with vectors for both of its text encoders.
   * @throws DeepCacheError ERR_DEEPCACHE_INVALID_WEIGHTS for a file that holds something else, or vectors for another kind
   * of model; ERR_DEEPCACHE_INVALID_ARGUMENT for a token that is taken.
   */
  async loadTextualInversion(file: string, options: TextualInversionOptions = {}): Promise<TextualInversion> {
    if (typeof file !== 'string' || file === '') throw invalidArgument('file', 'must be the path of a file');
    const { token, signal } = options;
    if (signal !== undefined) checkSignal(signal);
    this.requireOpen();
    const read = await readEmbeddingFile(file, signal);
    this.requireOpen();
    return this.components.models.embeddings.add(read, token, this.textBranches);
  }

  /**
   * Unloads the textual inversion of a token, or all of them: the tokens are words like others from the next run on.
   *
   * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT when there is none of the token.
   */
  unloadTextualInversion(token?: string): void {
    this.requireOpen();
    this.components.models.embeddings.remove(token);
  }

  /**
   * Turns FreeU on for runs that begin from now on, of all pipelines over the same models (diffusers: enable_freeu). The
   * option `freeU` says otherwise for a single run.
   *
   * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT
   */
  enableFreeU(factors: FreeU): void {
    checkFreeU('factors', factors);
    this.requireOpen();
    this.components.models.freeU = { ...factors };
  }

  /** Turns it off again (diffusers: disable_freeu). */
  disableFreeU(): void {
    this.requireOpen();
    this.components.models.freeU = undefined;
  }

  protected override during<T>(options: Options, work: (options: Options) => Promise<T>): Promise<T> {
    const { freeU = this.components.models.freeU } = options;
    return super.during(freeU === undefined ? options : { ...options, freeU }, work);
  }

  /** The textual inversions that are loaded, in the order of loading. */
  get textualInversions(): readonly TextualInversion[] {
    return this.components.models.embeddings.list;
  }
}
