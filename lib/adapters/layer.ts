import type { AdapterTensor, AdapterTerm } from '../native/adapter-terms.js';
import type { StoredTensor } from '../weights/stored-tensor.js';
import type { KeyRole } from './key.js';
import type { Module } from './module-table.js';
import type { ScaleOf } from './peft-config.js';

/** The tensors that a file has for a layer. */
export type LayerTensors = ReadonlyMap<KeyRole, StoredTensor>;

/** What an adapter does to a weight, at any scale. */
export interface Change {
  /** In diffusers' names. */
  readonly weight: string;
  readonly shape: readonly number[];
  readonly term: Omit<AdapterTerm, 'scale'>;
}

/** Of what a file has for a layer. */
export interface LayerChanges {
  readonly changes: readonly Change[];
  /** Keys that mean nothing there. */
  readonly unused: readonly string[];
}

/** What numbers of a file say: values of its tensors that hold one. */
export type Scalars = ReadonlyMap<StoredTensor, number>;

/**
 * What tensors of a layer mean. docs/lora.md has the formulas and where they come from.
 *
 * @param scaleOf what a configuration beside the tensors says of alpha, where they have none.
 */
export function changesOf(
  module: Module,
  tensors: LayerTensors,
  scalars: Scalars,
  scaleOf: ScaleOf,
): LayerChanges {
  const used = new Set<KeyRole>();
  const changes: Change[] = [];
  const take = (role: KeyRole): StoredTensor | undefined => {
    const tensor = tensors.get(role);
    if (tensor) used.add(role);
    return tensor;
  };
  const scalar = (role: KeyRole): number | undefined => {
    const tensor = take(role);
    return tensor && scalars.get(tensor);
  };
  const add = (kind: 'weight' | 'bias', term: Omit<AdapterTerm, 'scale'>, roles: readonly KeyRole[]) => {
    const shape = module[kind];
    if (!shape) return;
    for (const role of roles) used.add(role);
    changes.push({ weight: `${module.path}.${kind}`, shape, term });
  };
  const has = (...roles: KeyRole[]) => roles.every((role) => tensors.has(role));
  const placed = (names: Readonly<Record<string, KeyRole>>) => {
    const found = Object.entries(names).flatMap(([name, role]) => {
      const tensor = tensors.get(role);
      return tensor ? [[name, place(tensor)] as const] : [];
    });
    return Object.fromEntries(found);
  };
  const factor = (rank: number | undefined) => {
    if (rank === undefined || !(rank > 0)) return 1;
    const alpha = scalar('alpha');
    return alpha === undefined ? scaleOf(module, rank) : alpha / rank;
  };
  const magnitude = () => {
    if (has('doraScale')) return { magnitudeRule: 'interpolated' as const, role: 'doraScale' as const };
    if (has('magnitudeVector')) return { magnitudeRule: 'peft' as const, role: 'magnitudeVector' as const };
    return undefined;
  };
  const addFactors = (
    kind: 'lora' | 'loha' | 'lokr' | 'glora',
    names: Record<string, KeyRole>,
    rank?: number,
  ) => {
    const dora = magnitude();
    const all: Record<string, KeyRole> = { ...names, ...(dora && { magnitude: dora.role }) };
    const rule = dora && { magnitudeRule: dora.magnitudeRule };
    add('weight', { kind, factor: factor(rank), ...rule, tensors: placed(all) }, Object.values(all));
  };
  const addDiff = (kind: 'weight' | 'bias', role: KeyRole, times = 1) => {
    if (has(role)) add(kind, { kind: 'full', factor: times, tensors: placed({ diff: role }) }, [role]);
  };

  if (has('down', 'up')) {
    const rank = tensors.get('down')?.shape[0];
    addFactors('lora', { up: 'up', down: 'down', mid: 'mid' }, rank);
    addDiff('bias', 'upBias', factor(rank));
  } else if (has('hada_w1_a', 'hada_w1_b', 'hada_w2_a', 'hada_w2_b')) {
    addFactors('loha', prefixed('hada_', HADA), tensors.get('hada_w1_b')?.shape[0]);
  } else if (has('lokr_w1') || has('lokr_w1_a', 'lokr_w1_b')) {
    const rank = (tensors.get('lokr_w1_b') ?? tensors.get('lokr_w2_b'))?.shape[0];
    addFactors('lokr', prefixed('lokr_', LOKR), rank);
    // Without factors alpha counts for nothing.
    used.add('alpha');
  } else if (has('glora_a1', 'glora_a2', 'glora_b1', 'glora_b2')) {
    const names = gloraNames(tensors, module.weight?.[0]);
    addFactors('glora', names, tensors.get(names.down)?.shape[0]);
  } else if (has('weight', 'on_input')) {
    const onInput = scalar('on_input') !== 0;
    add('weight', { kind: 'ia3', factor: 1, onInput, tensors: placed({ weight: 'weight' }) }, ['weight']);
  }
  addDiff('weight', 'diff');
  addDiff('bias', 'diff_b');
  addDiff('weight', 'w_norm');
  addDiff('bias', 'b_norm');
  if (changes.length === 0) used.clear();
  const unused = [...tensors].flatMap(([role, { name }]) => (used.has(role) ? [] : [name]));
  return { changes, unused };
}

const HADA = ['w1_a', 'w1_b', 'w2_a', 'w2_b', 't1', 't2'] as const;
const LOKR = ['w1', 'w1_a', 'w1_b', 'w2', 'w2_a', 'w2_b', 't2'] as const;

/**
 * LyCORIS up to 1.8 multiplies b2 by b1, and the weight by a2 a1; since then it is b1 b2, and a1 a2. The one whose rows are
 * the weight's tells.
 */
function gloraNames(tensors: LayerTensors, rows: number | undefined) {
  if (tensors.get('glora_b1')?.shape[0] === rows) {
    return { up: 'glora_b1', down: 'glora_b2', mid: 'glora_bm', w1_a: 'glora_a1', w1_b: 'glora_a2' } as const;
  }
  return { up: 'glora_b2', down: 'glora_b1', w1_a: 'glora_a2', w1_b: 'glora_a1' } as const;
}

function prefixed(prefix: string, names: readonly string[]): Record<string, KeyRole> {
  return Object.fromEntries(names.map((name) => [name, `${prefix}${name}` as KeyRole]));
}

function place({ file, dtype, shape, offset, transposed }: StoredTensor): AdapterTensor {
  return { file, dtype, shape, offset, ...(transposed && { transposed }) };
}
