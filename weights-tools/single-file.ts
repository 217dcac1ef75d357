import { DeepCacheError } from '../lib/errors.js';
import type { PartSource } from '../lib/models/part-source.js';
import { type Entry, entriesOf } from '../lib/models/single-file/entries.js';
import { originalLayoutOf, originalNaming } from '../lib/models/single-file/original-layouts.js';
import type { StoredTensor } from '../lib/weights/stored-tensor.js';
import { networksOf, type PartOptions, readWholePart } from './model-parts.js';
import type { PlannedTensor } from './write-weights.js';

/**
 * All networks of a model as the tensors of a checkpoint in a single file, under the names of the original training code.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_UNSUPPORTED for a model whose family has no such layout.
 */
export async function singleFileTensors(
  source: PartSource,
  index: Readonly<Record<string, unknown>>,
  options: PartOptions,
): Promise<PlannedTensor[]> {
  const text = source.hasJson('text_encoder/config.json')
    ? (await source.json('text_encoder/config.json', options)).value
    : {};
  const layout = originalLayoutOf(index, text);
  if (!layout) throw unsupported(source, `${String(index._class_name)} has no layout in a single file`);
  const planned: PlannedTensor[] = [];
  for (const name of networksOf(source, index)) {
    const { network, tensors } = await readWholePart(source, name, options);
    const naming = originalNaming(layout, name, network.config);
    if (!naming) throw unsupported(source, `its ${name} has no place in a single file`);
    // Buffers that transformers once saved with the weights.
    const own = new Map(tensors.map((tensor) => [tensor.name, tensor] as const));
    const names = [...own.keys()].filter((tensor) => !/(^|\.)position_ids$/.test(tensor));
    for (const entry of entriesOf(names, naming)) planned.push(planEntry(source, entry, own));
  }
  return planned;
}

function planEntry(
  source: PartSource,
  { key, names, op }: Entry,
  tensors: ReadonlyMap<string, StoredTensor>,
): PlannedTensor {
  const pieces = names.map((name) => tensors.get(name)).filter((tensor) => tensor !== undefined);
  const [first] = pieces;
  if (!first || pieces.length < names.length || (op === 'concat_rows' && pieces.length !== 3)) {
    throw new DeepCacheError(
      'ERR_DEEPCACHE_INVALID_WEIGHTS',
      `${source.place}: lacks what ${key} is made of`,
    );
  }
  const [rows = 0, columns = 0, ...rest] = first.shape;
  switch (op) {
    case 'transpose': {
      const turned = { ...first, shape: [columns, rows], transposed: !first.transposed };
      return { name: key, shape: turned.shape, pieces: [turned] };
    }
    case 'squeeze_hw':
      return { name: key, shape: first.shape.length === 2 ? [rows, columns, 1, 1] : first.shape, pieces };
    case 'concat_rows':
      return { name: key, shape: [3 * rows, ...(first.shape.length > 1 ? [columns, ...rest] : [])], pieces };
    default:
      return { name: key, shape: first.shape, pieces };
  }
}

function unsupported(source: PartSource, message: string): DeepCacheError {
  return new DeepCacheError('ERR_DEEPCACHE_UNSUPPORTED', `${source.place}: ${message}`);
}
