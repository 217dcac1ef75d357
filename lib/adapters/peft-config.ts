import type { Module } from './module-table.js';

/** The factor of a layer's delta by a configuration: alpha / rank, or what rsLoRA makes of it. */
export type ScaleOf = (module: Pick<Module, 'part' | 'path'>, rank: number) => number;

/** Files that say nothing: alpha is the rank. */
export const plainScale: ScaleOf = () => 1;

/**
 * What PEFT's adapter_config.json says (LoraConfig). Rank-stabilised LoRA divides by the root of the rank: Kalajdzievski,
 * "A Rank Stabilization Scaling Factor for Fine-Tuning with LoRA", 2023.
 */
export function scaleOfConfig(config: Readonly<Record<string, unknown>>): ScaleOf {
  const { lora_alpha: usual, use_rslora: isStable, alpha_pattern: pattern } = config;
  const alphas = isObject(pattern) ? Object.entries(pattern) : [];
  return ({ path }, rank) => {
    const own = alphas.find(([name]) => path === name || path.endsWith(`.${name}`))?.[1];
    const alpha = own ?? usual;
    if (typeof alpha !== 'number' || !Number.isFinite(alpha)) return 1;
    return alpha / (isStable === true ? Math.sqrt(rank) : rank);
  };
}

/** diffusers from 0.34 on writes the configurations of all parts into the file, as `unet.lora_alpha` and so on. */
export function scaleOfMetadata(metadata: Readonly<Record<string, string>>): ScaleOf {
  const text = metadata.lora_adapter_metadata;
  let value: unknown;
  try {
    value = text === undefined ? undefined : JSON.parse(text);
  } catch {
    // A remark of some other tool.
  }
  if (!isObject(value)) return plainScale;
  const all = value;
  const of = (part: string) => {
    const prefix = `${part}.`;
    const own = Object.entries(all).filter(([name]) => name.startsWith(prefix));
    return scaleOfConfig(Object.fromEntries(own.map(([name, field]) => [name.slice(prefix.length), field])));
  };
  const parts = new Map(['unet', 'text_encoder', 'text_encoder_2'].map((part) => [part, of(part)]));
  return (module, rank) => parts.get(module.part)?.(module, rank) ?? 1;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
