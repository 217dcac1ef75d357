import type { TextBranch } from '../embeddings/textual-inversions.js';
import { invalidArgument } from '../errors.js';
import type { Log } from '../log.js';
import { show } from '../messages.js';
import { checkNames } from '../names.js';
import { DiffusionPipeline } from '../pipelines/diffusion-pipeline.js';
import type { GenerateOptions } from '../pipelines/inputs/options.js';
import { adaptableParts } from '../pipelines/loading/adaptable-parts.js';
import type { SDParts, XLParts } from '../pipelines/loading/parts.js';
import { LONGEST_NAME, type LoraInfo, Loras, type LoraUse } from './loras.js';
import { checkScale, type LoraScale } from './scale.js';
import { takeTags } from './tags.js';
import { unknownKeysText } from './unknown-keys.js';

/** How an adapter is loaded. */
export interface LoadLoraOptions {
  /** What it is called from then on; by default its file's name without the ending. */
  name?: string;
  /** How much it counts, 1 by default; 0 loads it for later. */
  scale?: LoraScale;
  /** Stops reading the file, and waiting for a turn. */
  signal?: AbortSignal;
}

/**
 * A pipeline whose networks take adapters: LoRA and its relatives (docs/lora.md). They change the weights where they lie,
 * so that nothing is prepared again, and pipelines over the same models ({@link DiffusionPipeline.from}) see the same
 * ones. Each change takes its turn: calls before it run without, calls after it with it.
 */
export abstract class LoraPipeline<
  Options extends GenerateOptions,
  Parts extends SDParts | XLParts,
> extends DiffusionPipeline<Options, Parts> {
  constructor(components: Parts, log?: Log) {
    super(components, log);
    components.models.loras ??= new Loras(adaptableParts(components));
  }

  /** The model's text encoders, in its order. */
  protected abstract get textBranches(): readonly TextBranch[];

  /** Its adapters, in the order in which they were loaded. */
  get loras(): LoraInfo[] {
    return this.#loras.list;
  }

  /**
   * Loads an adapter on top of those that are there (diffusers: load_lora_weights). Keys of the file that mean nothing to
   * the model are logged, and listed in the result. Textual inversions in the file come with it, and go with it.
   *
   * @param file safetensors or PyTorch, as kohya's scripts, LyCORIS, PEFT and diffusers write them; or a folder of PEFT's.
   * @throws DeepCacheError ERR_DEEPCACHE_INVALID_WEIGHTS for a file that is none, or is for another kind of model;
   * ERR_DEEPCACHE_INVALID_ARGUMENT for a name that is taken. Nothing has changed then.
   */
  async loadLora(file: string, options: LoadLoraOptions = {}): Promise<LoraInfo> {
    if (typeof file !== 'string' || file === '')
      throw invalidArgument('file', `must be a path, got ${show(file)}`);
    checkNames(options, ['name', 'scale', 'signal']);
    const { name = Loras.nameOf(file), signal } = options;
    if (typeof name !== 'string' || name === '' || name.length > LONGEST_NAME || /[<>:]/.test(name)) {
      throw invalidArgument(
        'name',
        `must be a text of at most ${LONGEST_NAME} characters without < > and :, got ${show(name)}`,
      );
    }
    const scale = checkScale('scale', options.scale ?? 1);
    this.#loras.requireFree(name);
    const read = await this.#loras.read(file, signal);
    const remark = unknownKeysText(read);
    if (remark !== undefined) this.log(remark);
    return this.change(async () => {
      this.#loras.requireFree(name);
      const { embeddings } = this.components.models;
      embeddings.addOf(name, read.embeddings, this.textBranches);
      try {
        return await this.#loras.add(name, read, scale);
      } catch (error) {
        embeddings.removeOf(name);
        throw error;
      }
    }, signal);
  }

  /** These adapters count from now on, and no others (diffusers: set_adapters); all stay loaded. */
  async setLoras(uses: readonly LoraUse[], { signal }: { signal?: AbortSignal } = {}): Promise<void> {
    if (!Array.isArray(uses)) throw invalidArgument('loras', `must be a list, got ${show(uses)}`);
    const checked = uses.map((use: LoraUse, i) => {
      const own = `loras[${i}]`;
      if (typeof use !== 'object' || use === null)
        throw invalidArgument(own, `must be an object, got ${show(use)}`);
      checkNames(use, ['name', 'scale'], `${own}.`);
      return { name: String(use.name), scale: checkScale(`${own}.scale`, use.scale ?? 1) };
    });
    return this.change(() => this.#loras.use(checked), signal);
  }

  /** Takes an adapter away, or all of them: the weights are bit for bit what they were (diffusers: unload_lora_weights). */
  async unloadLora(name?: string, { signal }: { signal?: AbortSignal } = {}): Promise<void> {
    return this.change(async () => {
      await this.#loras.remove(name);
      this.components.models.embeddings.removeOf(name);
    }, signal);
  }

  protected override during<T>(given: Options, work: (options: Options) => Promise<T>): Promise<T> {
    // What is on the weights is known while it runs.
    const blaming = (options: Options) =>
      work(options).catch((error: unknown) => {
        throw this.#loras.blamed(error);
      });
    if (!given.loraSyntax) return super.during(given, blaming);
    const { options, uses } = takeTags(given);
    if (uses.length === 0) return super.during(options, blaming);
    // Its weights are its own.
    const { gate } = this.components.models;
    return gate.change(() => this.#loras.during(uses, () => blaming(options)), options.signal);
  }

  get #loras(): Loras {
    return this.components.models.loras as Loras;
  }
}
