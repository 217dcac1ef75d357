import type { PublishedModel } from '../../configs/published.js';
import { DeepCacheError, invalidConfig } from '../../errors.js';
import type { JsonObject } from '../../files/json.js';
import type { CLIPTokenizer } from '../../tokenizers/clip-tokenizer.js';
import { publishedTokenizer } from '../../tokenizers/published.js';
import type { NetworkFiles } from '../model-files.js';
import type { JsonPart, PartSource, WaitOptions } from '../part-source.js';
import type { Checkpoint } from './checkpoint.js';
import { layoutOf } from './layouts.js';
import { NETWORKS, networkIn } from './network.js';

/** What describes the parts of a single file. */
export interface Description {
  /** A folder's files, which are taken first. */
  readonly given?: PartSource | undefined;
  /** The published model that it is like. */
  readonly published?: PublishedModel | undefined;
  /** Fields that are others than these say, by the files' names. */
  readonly changes: Readonly<Record<string, Readonly<JsonObject>>>;
}

/** A checkpoint with all parts of a model in a file, under the names of the original training code. */
export class SingleFileSource implements PartSource {
  /**
   * @param index model_index.json of what it is like.
   * @param supplied parts that are taken from elsewhere.
   */
  constructor(
    private readonly checkpoint: Checkpoint,
    private readonly description: Description,
    private readonly index: Readonly<JsonObject>,
    private readonly options: { useEma: boolean; supplied: readonly string[] },
  ) {}

  get place(): string {
    return this.checkpoint.path;
  }

  get places(): readonly string[] {
    return [this.place];
  }

  has(part: string): boolean {
    const entry = this.index[part];
    return Array.isArray(entry) && typeof entry[1] === 'string';
  }

  hasJson(name: string): boolean {
    const { given, published } = this.description;
    return given?.hasJson(name) === true || (published !== undefined && Object.hasOwn(published.files, name));
  }

  jsonPath(name: string): string {
    const { given, published } = this.description;
    if (given?.hasJson(name)) return given.jsonPath(name);
    return `${name} of ${published?.title ?? this.place}`;
  }

  async json(name: string, options: WaitOptions = {}): Promise<JsonPart> {
    const { given } = this.description;
    const found = given?.hasJson(name) ? await given.json(name, options) : this.#published(name);
    const changes = { ...this.#classOf(name, found.value), ...this.description.changes[name] };
    if (Object.keys(changes).length === 0) return found;
    const value = { ...found.value, ...changes };
    return { path: found.path, text: JSON.stringify(value), value };
  }

  async network(part: string, options: WaitOptions = {}): Promise<NetworkFiles> {
    const layout = layoutOf(this.checkpoint, part);
    if (!layout) throw this.#lacks();
    const config = await this.json(`${part}/config.json`, options);
    const useEma = this.options.useEma && part === 'unet';
    return networkIn(this.checkpoint, part, layout, config, { useEma });
  }

  async tokenizer(part: string, options: WaitOptions = {}): Promise<CLIPTokenizer> {
    const { given, published } = this.description;
    if (given?.has(part)) return given.tokenizer(part, options);
    const pads = published?.padTokens ?? {};
    return publishedTokenizer(pads[part] ?? '<|endoftext|>', options.signal);
  }

  #published(name: string): JsonPart {
    const path = this.jsonPath(name);
    const { published } = this.description;
    const value = published && Object.hasOwn(published.files, name) ? published.files[name] : undefined;
    if (value) return { path, text: JSON.stringify(value), value };
    throw invalidConfig(
      this.place,
      `needs a ${name}: give a folder with one by the option config (--config)`,
    );
  }

  /** A projection belongs to an encoder by the class in the index, whatever its own file says, as in diffusers. */
  #classOf(name: string, { architectures }: Readonly<JsonObject>): JsonObject {
    const entry = this.index[name.slice(0, -'/config.json'.length)];
    const className = Array.isArray(entry) ? entry[1] : undefined;
    const isOther = Array.isArray(architectures) && !architectures.includes(className);
    return className === 'CLIPTextModelWithProjection' && isOther ? { architectures: [className] } : {};
  }

  /** What the file does not hold and nobody supplies, all at once. */
  #lacks(): DeepCacheError {
    const missing = Object.keys(NETWORKS).filter(
      (part) => this.has(part) && !this.options.supplied.includes(part) && !layoutOf(this.checkpoint, part),
    );
    const titles = missing.map((part) => `no ${NETWORKS[part]?.title}`);
    const options = missing.flatMap((part) => NETWORKS[part]?.option ?? []);
    const flags = options.map(
      (name) => `--${name.replace(/[A-Z0-9]/g, (letter) => `-${letter.toLowerCase()}`)}`,
    );
    const way =
      options.length < missing.length
        ? ''
        : `: give ${options.length > 1 ? 'the options' : 'the option'} ${options.join(' and ')} (${flags.join(', ')}), ` +
          'a file or a folder';
    return new DeepCacheError(
      'ERR_DEEPCACHE_INVALID_WEIGHTS',
      `${this.place} holds ${titles.join(' and ')}${way}`,
    );
  }
}
