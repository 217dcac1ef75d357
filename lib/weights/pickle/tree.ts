import { shorten } from '../../messages.js';
import type { StoredTensor } from '../stored-tensor.js';
import { PickleProblem } from './bytes.js';
import { InertObject, PickledTensor, type PickleValue } from './values.js';

/** Values that are looked at: an object may be in several places of a tree, and so in very many. */
const MOST_VALUES = 1_000_000;
const DEEPEST = 32;

/** What training code keeps beside the weights. */
const TRAINING_STATE = /^(optimizer|optimizer_states|lr_schedulers|callbacks|loops|scheduler|ema_scheduler)$/;

/**
 * The tensors of a pickle under dotted names, as safetensors files have them. A `state_dict` at the top is the model,
 * and its name no part of the names.
 *
 * @throws PickleProblem for names that occur twice, tensors without a name, and values in an order that is not read.
 */
export function namedTensors(root: PickleValue): StoredTensor[] {
  const state = root instanceof Map ? root.get('state_dict') : undefined;
  const found = new Map<string, StoredTensor>();
  visit(state === undefined ? root : state, (path, tensor) => {
    if (state === undefined && TRAINING_STATE.test(path[0] ?? '')) return;
    const name = path.join('.');
    if (tensor.problem) throw new PickleProblem(`: tensor "${shorten(name)}" ${tensor.problem}`);
    if (found.has(name)) throw new PickleProblem(`has two tensors "${shorten(name)}"`);
    const { dtype, shape, file, offset, bytes, transposed } = tensor;
    found.set(name, { name, dtype, shape, file, offset, bytes, ...(transposed && { transposed }) });
  });
  return [...found.values()];
}

/** @throws PickleProblem for a value that cannot be walked through safely, or holds a tensor that cannot be read. */
export function checkTree(root: PickleValue): void {
  visit(root, (path, { problem }) => {
    if (problem) throw new PickleProblem(`: tensor "${shorten(path.join('.'))}" ${problem}`);
  });
}

function visit(root: PickleValue, onTensor: (path: readonly string[], tensor: PickledTensor) => void): void {
  let seen = 0;
  const path: string[] = [];
  const step = (value: PickleValue) => {
    if (++seen > MOST_VALUES) throw new PickleProblem('has too many values');
    if (value instanceof PickledTensor) onTensor(path, value);
    else if (value instanceof Map) eachItem(value);
    else if (Array.isArray(value)) eachElement(value);
    else if (value instanceof InertObject) eachPart(value);
  };
  const enter = (key: string, part: PickleValue) => {
    if (path.length === DEEPEST) throw new PickleProblem('holds itself, or dictionaries in very many others');
    path.push(key);
    step(part);
    path.pop();
  };
  const eachItem = (map: Map<PickleValue, PickleValue>) => {
    for (const [key, part] of map) enter(nameOf(key), part);
  };
  const eachElement = (list: readonly PickleValue[]) => {
    for (let i = 0; i < list.length; i++) enter(String(i), list[i] as PickleValue);
  };
  // torch's modules, such as a ParameterDict, hold their tensors in two dictionaries, and other modules in a third.
  const eachPart = ({ state, items, list }: InertObject) => {
    for (const name of ['_parameters', '_buffers', '_modules']) {
      const parts = state instanceof Map ? state.get(name) : undefined;
      if (parts instanceof Map) eachItem(parts);
    }
    if (items) eachItem(items);
    if (list) eachElement(list);
  };
  step(root);
}

function nameOf(key: PickleValue): string {
  return typeof key === 'string' || typeof key === 'number' ? String(key) : '?';
}
