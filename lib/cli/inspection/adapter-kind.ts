import { familyOf } from '../../adapters/family.js';
import { type KeyRole, parseKey } from '../../adapters/key.js';
import { refusedKind } from '../../adapters/refused.js';
import type { Checkpoint } from '../../models/single-file/checkpoint.js';
import type { StoredTensor } from '../../weights/stored-tensor.js';
import type { FileKind } from './kind.js';

/** Kinds of adapters by a tensor that only their layers have; the first one that a layer has. */
const KINDS: readonly (readonly [role: KeyRole, kind: string])[] = [
  ['doraScale', 'DoRA'],
  ['magnitudeVector', 'DoRA'],
  ['mid', 'LoCon (Tucker)'],
  ['down', 'LoRA'],
  ['hada_w1_a', 'LoHa'],
  ['lokr_w1', 'LoKr'],
  ['lokr_w1_a', 'LoKr'],
  ['glora_a1', 'GLoRA'],
  ['on_input', 'IA3'],
  ['diff', 'full difference'],
  ['w_norm', 'norm'],
];

/** LoRA and its relatives: how many layers of each kind, their ranks, and the networks that they are for. */
export function adapterKind(file: Checkpoint): FileKind | undefined {
  const refused = refusedKind(file.names);
  const layers = layersOf(file);
  const kinds = new Map<string, number>();
  const ranks = new Set<number>();
  const parts = new Map<string, number>();
  for (const [layer, tensors] of layers) {
    const kind = KINDS.find(([role]) => tensors.has(role))?.[1];
    if (kind === undefined) continue;
    add(kinds, kind);
    add(parts, partOf(layer));
    const rank = (tensors.get('down') ?? tensors.get('hada_w1_b') ?? tensors.get('lokr_w2_b'))?.shape[0];
    if (rank !== undefined) ranks.add(rank);
  }
  if (!refused && kinds.size === 0) return undefined;
  const moves = [...layers.keys()].some((layer) => layer.includes('motion_modules'));
  const facts = {
    ...(kinds.size > 0 && { layers: listed(kinds), networks: listed(parts) }),
    ...(ranks.size > 0 && { rank: [...ranks].sort((a, b) => a - b).join(', ') }),
  };
  return {
    kind: 'lora',
    title: refused ? `an adapter of the kind ${refused.kind}` : moves ? 'a motion LoRA' : 'an adapter (LoRA)',
    family: moves ? 'AnimateDiff' : familyOf(layers),
    facts,
    ...(!refused && !moves && { use: 'pipe.loadLora(file); --lora' }),
  };
}

function layersOf(file: Checkpoint): Map<string, Map<KeyRole, StoredTensor>> {
  const layers = new Map<string, Map<KeyRole, StoredTensor>>();
  for (const [name, tensor] of file.tensors) {
    const key = parseKey(name);
    if (!key) continue;
    const own = layers.get(key.layer) ?? new Map<KeyRole, StoredTensor>();
    layers.set(key.layer, own.set(key.role, tensor));
  }
  return layers;
}

function partOf(layer: string): string {
  if (/^(?:lora_te3_|text_encoder_3\.)/.test(layer)) return 'third text encoder';
  if (/^(?:lora_te2_|text_encoder_2\.)/.test(layer)) return 'second text encoder';
  if (/^(?:lora_te1?_|text_encoder\.)|text_model/.test(layer)) return 'text encoder';
  return 'U-Net';
}

function add(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}

function listed(counts: ReadonlyMap<string, number>): string {
  return [...counts].map(([name, count]) => `${count} ${name}`).join(', ');
}
