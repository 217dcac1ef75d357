import { dirname } from 'node:path';
import { invalidConfig } from '../../errors.js';
import type { JsonObject } from '../../files/json.js';
import type { CLIPTokenizer } from '../../tokenizers/clip-tokenizer.js';
import { FolderSource } from '../folder-source.js';
import type { NetworkFiles } from '../model-files.js';
import type { JsonPart, PartSource, WaitOptions } from '../part-source.js';
import type { Checkpoint } from './checkpoint.js';
import { onlySidecarIn, originalConfig, type Sidecar } from './sidecar.js';

const CONFIG = 'config.json';

/** Whether a checkpoint is of the DDPM code or of class-conditional latent diffusion, which are read under their own names. */
export function isOriginal(checkpoint: Checkpoint): boolean {
  return checkpoint.has('temb.dense.0.weight') || checkpoint.has('cond_stage_model.embedding.weight');
}

/**
 * A checkpoint whose configuration is in a .yaml file beside it, or in a config.json.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_CONFIG where there is none.
 */
export async function openOriginal(
  checkpoint: Checkpoint,
  {
    given,
    sidecar,
    useEma,
    signal,
  }: { given?: PartSource | undefined; sidecar?: Sidecar | undefined; useEma: boolean } & WaitOptions,
): Promise<PartSource> {
  const folder = given ?? new FolderSource(dirname(checkpoint.path));
  const own = given ? undefined : (sidecar ?? (await onlySidecarIn(folder.place, signal)));
  if (own) return new OriginalSource(checkpoint, own.path, originalConfig(own), useEma);
  if (folder.hasJson(CONFIG)) {
    const { path, value } = await folder.json(CONFIG, { signal });
    return new OriginalSource(checkpoint, path, value, useEma);
  }
  throw invalidConfig(
    checkpoint.path,
    'needs its configuration: a .yaml file of the same name or a config.json beside it, or the option config (--config)',
  );
}

class OriginalSource implements PartSource {
  constructor(
    private readonly checkpoint: Checkpoint,
    private readonly configPath: string,
    private readonly config: JsonObject,
    private readonly useEma: boolean,
  ) {}

  get place(): string {
    return this.checkpoint.path;
  }

  get places(): readonly string[] {
    return [this.place];
  }

  has(part: string): boolean {
    return part === '';
  }

  hasJson(name: string): boolean {
    return name === CONFIG;
  }

  jsonPath(name: string): string {
    return name === CONFIG ? this.configPath : name;
  }

  async json(name: string): Promise<JsonPart> {
    if (name !== CONFIG) throw invalidConfig(this.place, `has no ${name}`);
    return { path: this.configPath, text: JSON.stringify(this.config), value: this.config };
  }

  async network(): Promise<NetworkFiles> {
    return this.checkpoint.network(await this.json(CONFIG), this.checkpoint.all({ useEma: this.useEma }));
  }

  async tokenizer(): Promise<CLIPTokenizer> {
    throw invalidConfig(this.place, 'reads no texts');
  }
}
