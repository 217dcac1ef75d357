import { oneLine } from '../../printable.js';
import type { StoredTensor } from '../../weights/stored-tensor.js';
import { formatBytes, formatTable } from '../format.js';

/** Tensors whose names begin alike. */
export interface Branch {
  /** What they have in common: "first_stage_model.decoder". */
  name: string;
  tensors: number;
  dtypes: readonly string[];
  bytes: number;
  /** How many of them the model's parts are loaded from; undefined where the file is no model. */
  loaded?: number;
}

/** As many as fit on a screen. */
const MOST_BRANCHES = 30;
const DEEPEST = 3;

/**
 * A file's tensors by the modules that they are in, as deep as they are few.
 *
 * @param used where the tensors that are loaded begin.
 */
export function treeOf(tensors: readonly StoredTensor[], used?: ReadonlySet<number>): Branch[] {
  let branches: Branch[] = [];
  for (let depth = 1; depth <= DEEPEST; depth++) {
    const deeper = atDepth(tensors, depth, used);
    if (depth > 1 && deeper.length > MOST_BRANCHES) break;
    branches = deeper;
  }
  return branches;
}

function atDepth(tensors: readonly StoredTensor[], depth: number, used?: ReadonlySet<number>): Branch[] {
  const branches = new Map<string, Branch & { types: Set<string> }>();
  for (const { name, dtype, bytes, offset } of tensors) {
    const key = name.split('.').slice(0, -1).slice(0, depth).join('.') || name;
    const branch = branches.get(key) ?? {
      name: key,
      tensors: 0,
      dtypes: [],
      types: new Set(),
      bytes: 0,
      loaded: 0,
    };
    branch.tensors++;
    branch.bytes += bytes;
    branch.types.add(dtype);
    if (used?.has(offset)) branch.loaded = (branch.loaded ?? 0) + 1;
    branches.set(key, branch);
  }
  return [...branches.values()].map(({ types, loaded, ...branch }) => ({
    ...branch,
    dtypes: [...types],
    ...(used && { loaded: loaded ?? 0 }),
  }));
}

export function treeText(branches: readonly Branch[]): string {
  const shown = branches.slice(0, MOST_BRANCHES);
  const rows = shown.map(({ name, tensors, dtypes, bytes, loaded }) => [
    oneLine(name),
    String(tensors),
    dtypes.join(' '),
    formatBytes(bytes),
    ...(loaded === undefined
      ? []
      : [loaded === 0 ? 'not used' : loaded < tensors ? `${loaded} used` : 'used']),
  ]);
  const more = branches.length - shown.length;
  return (
    formatTable([['tensors below', 'count', 'types', 'size'], ...rows]) +
    (more > 0 ? `and ${more} more\n` : '')
  );
}
