import { BITS } from '../stored-tensor.js';
import { PickleProblem } from './bytes.js';
import { call, globalOf, storageDtype } from './globals.js';
import { MARK, PICKLE_LIMITS, type PickleMachine } from './machine.js';
import { InertClass, InertObject, PickledStorage, PickledTensor, type PickleValue } from './values.js';

// The opcodes of protocols 2 to 5 (Python's pickletools.py documents each) that make data. Left out are those of text
// protocols, of extensions, and of buffers outside of the file.

type Run = (machine: PickleMachine) => void;

const HIGHEST_PROTOCOL = 5;
const LONGEST_NAME = 256;
/** Of whole numbers. */
const MOST_DIGITS = 64;

const constant =
  (value: PickleValue): Run =>
  (m) =>
    m.push(value);

const tuple =
  (length: number): Run =>
  (m) => {
    const values = Array.from({ length }, () => m.pop());
    m.push(m.container(values.reverse()));
  };

const text =
  (length: (m: PickleMachine) => number): Run =>
  (m) =>
    m.push(m.text(length(m)));

/** Python 2's strings: text, as far as they are. */
const oldText =
  (length: (m: PickleMachine) => number): Run =>
  (m) => {
    const bytes = length(m);
    if (bytes > PICKLE_LIMITS.text) throw new PickleProblem(`has a text of ${bytes} bytes`);
    m.push(m.bytes.take(bytes).toString('latin1'));
  };

const binary =
  (length: (m: PickleMachine) => number): Run =>
  (m) =>
    m.push(Uint8Array.from(m.bytes.take(length(m))));

const get =
  (index: (m: PickleMachine) => number): Run =>
  (m) => {
    const value = m.memo.get(index(m));
    if (value === undefined) throw new PickleProblem('names a value that is not there');
    m.push(value);
  };

const put =
  (index: (m: PickleMachine) => number): Run =>
  (m) =>
    m.memo.set(index(m), m.top());

const long =
  (length: (m: PickleMachine) => number): Run =>
  (m) => {
    const bytes = length(m);
    if (bytes > MOST_DIGITS) throw new PickleProblem(`has a number of ${bytes} bytes`);
    m.push(numberOf(m.bytes.take(bytes)));
  };

const u8 = (m: PickleMachine) => m.bytes.u8();
const u32 = (m: PickleMachine) => m.bytes.u32();
const u64 = (m: PickleMachine) => m.bytes.u64();

/** What each opcode does, by its number. */
export const OPCODES: readonly (Run | undefined)[] = table({
  '\x80': (m) => {
    const protocol = m.bytes.u8();
    if (protocol > HIGHEST_PROTOCOL)
      throw new PickleProblem(`is of protocol ${protocol}; ${HIGHEST_PROTOCOL} is known`);
  },
  '\x95': (m) => {
    // Frames say how much may be read at once, which is all of it here.
    m.bytes.u64();
  },
  '.': (m) => {
    m.isDone = true;
  },
  '(': (m) => {
    m.stack.push(MARK);
  },
  '0': (m) => {
    if (m.stack.pop() === undefined) throw new PickleProblem('takes a value that is not there');
  },
  '1': (m) => {
    m.popToMark();
  },
  '2': (m) => m.push(m.top()),

  N: constant(null),
  '\x88': constant(true),
  '\x89': constant(false),
  J: (m) => m.push(m.bytes.i32()),
  K: (m) => m.push(m.bytes.u8()),
  M: (m) => m.push(m.bytes.u16()),
  '\x8a': long(u8),
  '\x8b': long(u32),
  G: (m) => m.push(m.bytes.f64()),
  X: text(u32),
  '\x8c': text(u8),
  '\x8d': text(u64),
  T: oldText(u32),
  U: oldText(u8),
  B: binary(u32),
  C: binary(u8),
  '\x8e': binary(u64),
  '\x96': binary(u64),

  ']': (m) => m.push(m.container([])),
  a: (m) => append(m, [m.pop()]),
  e: (m) => append(m, m.popToMark()),
  l: (m) => m.push(m.container(m.popToMark())),
  ')': (m) => m.push(m.container([])),
  t: (m) => m.push(m.container(m.popToMark())),
  '\x85': tuple(1),
  '\x86': tuple(2),
  '\x87': tuple(3),
  '}': (m) => m.push(m.container(new Map())),
  d: (m) => {
    const items = m.popToMark();
    m.push(m.container(new Map()));
    setItems(m, items);
  },
  s: (m) => {
    const value = m.pop();
    setItems(m, [m.pop(), value]);
  },
  u: (m) => setItems(m, m.popToMark()),
  '\x8f': (m) => m.push(m.container([])),
  '\x90': (m) => append(m, m.popToMark()),
  '\x91': (m) => m.push(m.container(m.popToMark())),

  h: get(u8),
  j: get(u32),
  q: put(u8),
  r: put(u32),
  '\x94': (m) => m.memo.set(m.memo.size, m.top()),

  c: (m) => {
    const module = m.bytes.line(LONGEST_NAME);
    m.push(globalOf(module, m.bytes.line(LONGEST_NAME)));
  },
  '\x93': (m) => {
    const name = m.pop();
    const module = m.pop();
    if (typeof module !== 'string' || typeof name !== 'string')
      throw new PickleProblem('has a name that is no text');
    m.push(globalOf(module, name));
  },
  R: (m) => {
    const args = m.pop();
    make(m, m.pop(), args);
  },
  '\x81': (m) => {
    const args = m.pop();
    make(m, m.pop(), args);
  },
  '\x92': (m) => {
    m.pop();
    const args = m.pop();
    make(m, m.pop(), args);
  },
  b: (m) => {
    const state = m.pop();
    const object = m.top();
    // Tensors and dictionaries have attributes of Python's, such as an OrderedDict's _metadata.
    if (object instanceof InertObject) object.state = state;
  },
  Q: (m) => m.push(m.container(storageOf(m.pop()))),
});

function table(opcodes: Readonly<Record<string, Run>>): (Run | undefined)[] {
  const runs = new Array<Run | undefined>(256).fill(undefined);
  for (const [character, run] of Object.entries(opcodes)) runs[character.charCodeAt(0)] = run;
  return runs;
}

function append(m: PickleMachine, values: readonly PickleValue[]): void {
  const target = m.top();
  const list = target instanceof InertObject ? target.asList() : target;
  if (!Array.isArray(list)) throw new PickleProblem('appends to what is no list');
  for (const value of values) list.push(value);
}

function setItems(m: PickleMachine, items: readonly PickleValue[]): void {
  const target = m.top();
  const map = target instanceof InertObject ? target.asMap() : target;
  if (!(map instanceof Map) || items.length % 2 !== 0) throw new PickleProblem('has a damaged dictionary');
  for (let i = 0; i < items.length; i += 2) map.set(items[i] as PickleValue, items[i + 1] as PickleValue);
}

function make(m: PickleMachine, callee: PickleValue, args: PickleValue): void {
  const made = m.container(call(callee, args));
  if (made instanceof PickledTensor && !(Array.isArray(args) && args.includes(made))) {
    m.tensors.push(made);
    if (m.tensors.length > PICKLE_LIMITS.tensors) throw new PickleProblem('has too many tensors');
  }
  m.push(made);
}

/** ('storage', class, key, device, values), in old files also (key, offset, values) of a part of another or None. */
function storageOf(id: PickleValue): PickledStorage {
  const [kind, type, key, , values, view] = Array.isArray(id) ? id : [];
  const dtype = type instanceof InertClass ? storageDtype(type.name) : null;
  const isStorage =
    kind === 'storage' && dtype !== null && typeof key === 'string' && /^[\w.-]{1,64}$/.test(key);
  if (!isStorage) throw new PickleProblem('refers to something that is no storage of values');
  const bytesEach = dtype === undefined ? 1 : BITS[dtype as keyof typeof BITS] / 8;
  if (!Array.isArray(view)) return new PickledStorage(key, dtype, bytesOf(values, bytesEach), 0, bytesEach);
  return new PickledStorage(key, dtype, bytesOf(view[2], bytesEach), bytesOf(view[1], bytesEach), bytesEach);
}

function bytesOf(values: PickleValue | undefined, each: number): number {
  const bytes = typeof values === 'number' ? values * each : Number.NaN;
  if (!Number.isSafeInteger(bytes) || bytes < 0)
    throw new PickleProblem('has a storage with a size that cannot be');
  return bytes;
}

/** Two's complement, little-endian. */
function numberOf(bytes: Buffer): number | bigint {
  let value = 0n;
  for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i] as number);
  const last = bytes.at(-1);
  if (last !== undefined && last > 127) value -= 1n << BigInt(8 * bytes.length);
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
