import { motionName } from '../models/motion-adapter.js';
import { ldmUnetNames, unetStructure } from '../models/single-file/unet-names.js';
import type { PartName, PartShapes } from './part.js';

/** A layer of a network: what adapters' files name. */
export interface Module {
  readonly part: PartName;
  /** In diffusers' names: down_blocks.0.attentions.0.proj_in. */
  readonly path: string;
  /** Shapes of its tensors, where it has them. */
  readonly weight?: readonly number[];
  readonly bias?: readonly number[];
}

type Mutable<T> = { -readonly [Name in keyof T]: T[Name] };

/** kohya's and LyCORIS' prefixes, in which dots became underscores. */
const UNDERSCORED: readonly (readonly [string, readonly PartName[]])[] = [
  ['lora_unet_', ['unet']],
  ['lora_te1_', ['text_encoder']],
  ['lora_te2_', ['text_encoder_2']],
  // Networks with one text encoder; SDXL's refiner has the second one alone.
  ['lora_te_', ['text_encoder', 'text_encoder_2']],
  ['lycoris_', ['unet', 'text_encoder', 'text_encoder_2']],
];

const DOTTED: readonly (readonly [string, readonly PartName[]])[] = [
  ['unet.', ['unet']],
  ['diffusion_model.', ['unet']],
  ['text_encoder.', ['text_encoder']],
  ['text_encoder_2.', ['text_encoder_2']],
  ['', ['unet', 'text_encoder', 'text_encoder_2']],
];

/** Attention processors named the text encoder's projections as the U-Net's. */
const PROJECTIONS: Readonly<Record<string, string>> = {
  to_q: 'q_proj',
  to_k: 'k_proj',
  to_v: 'v_proj',
  'to_out.0': 'out_proj',
};

/** The layers of a pipeline's networks, to be found by what adapters' files call them. */
export class ModuleTable {
  /** By part, then by path: with dots, with underscores, and both of the original names. */
  readonly #modules = new Map<PartName, Map<string, Module>>();

  constructor(parts: readonly PartShapes[]) {
    for (const part of parts) this.#modules.set(part.part, namedModules(part));
  }

  has(part: PartName): boolean {
    return this.#modules.has(part);
  }

  /** The layer that a key without its ending means. */
  find(name: string): Module | undefined {
    const plain = motionName(name) ?? name.replace(/^base_model\.model\./, '');
    for (const [prefix, parts] of [...UNDERSCORED, ...DOTTED]) {
      if (!plain.startsWith(prefix)) continue;
      const rest = plain.slice(prefix.length);
      for (const part of parts) {
        const found = this.#lookUp(part, rest);
        if (found) return found;
      }
    }
    return undefined;
  }

  #lookUp(part: PartName, path: string): Module | undefined {
    const modules = this.#modules.get(part);
    if (!modules) return undefined;
    const attention = /^(.*\.self_attn)\.(to_q|to_k|to_v|to_out\.0)$/.exec(path);
    const own = attention ? `${attention[1]}.${PROJECTIONS[attention[2] as string]}` : path;
    return modules.get(own) ?? modules.get(`text_model.${own}`);
  }
}

function namedModules(part: PartShapes): Map<string, Module> {
  const modules = new Map<string, Mutable<Module>>();
  for (const { name, shape } of part.weightShapes()) {
    const [, path, kind] = /^(.*)\.(weight|bias)$/.exec(name) ?? [];
    if (path === undefined) continue;
    const module = modules.get(path) ?? { part: part.part, path };
    module[kind as 'weight' | 'bias'] = shape;
    modules.set(path, module);
  }
  const named = new Map<string, Module>(modules);
  const add = (name: string, module: Module) => {
    if (!named.has(name)) named.set(name, module);
  };
  const originalName = part.part === 'unet' ? ldmUnetNames(unetStructure(part.config)) : undefined;
  for (const [path, module] of modules) {
    add(path.replaceAll('.', '_'), module);
    if (!originalName) continue;
    const { key } = originalName(path);
    add(key, module);
    add(key.replaceAll('.', '_'), module);
  }
  return named;
}
