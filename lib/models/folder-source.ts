import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readJson } from '../files/json.js';
import { CLIPTokenizer } from '../tokenizers/clip-tokenizer.js';
import { findModel, type NetworkFiles } from './model-files.js';
import type { JsonPart, NetworkOptions, PartSource, WaitOptions } from './part-source.js';

/** The parts of a folder in the diffusers layout. */
export class FolderSource implements PartSource {
  constructor(readonly place: string) {}

  get places(): readonly string[] {
    return [this.place];
  }

  has(part: string): boolean {
    return existsSync(join(this.place, part));
  }

  hasJson(name: string): boolean {
    return existsSync(join(this.place, name));
  }

  jsonPath(name: string): string {
    return join(this.place, name);
  }

  async json(name: string, { signal }: WaitOptions = {}): Promise<JsonPart> {
    const path = this.jsonPath(name);
    return { path, ...(await readJson(path, { signal })) };
  }

  network(part: string, { stem = stemOf(part), ...find }: NetworkOptions = {}): Promise<NetworkFiles> {
    return findModel(join(this.place, part), stem, find);
  }

  tokenizer(part: string, options: WaitOptions = {}): Promise<CLIPTokenizer> {
    return CLIPTokenizer.fromPretrained(join(this.place, part), options);
  }
}

/** transformers' name of weight files, or diffusers'. */
function stemOf(part: string): string {
  return part.includes('encoder') ? 'model' : 'diffusion_pytorch_model';
}
