import { closeSync, openSync, writeSync } from 'node:fs';
import { crc32 } from 'node:zlib';

// What torch.save writes, made here byte by byte: values of the tests' choice, right or wrong.

/** A name of Python's. */
export class Global {
  constructor(
    readonly module: string,
    readonly name: string,
  ) {}
}

/** A call of one, its state and items optional. */
export class Call {
  constructor(
    readonly callee: Global,
    readonly args: readonly Pickled[],
    readonly state?: Pickled,
  ) {}
}

export interface TensorFields {
  /** Of the storage's class. */
  storage?: string;
  key: string;
  shape: readonly number[];
  strides?: readonly number[];
  /** Values from the storage's start. */
  offset?: number;
  /** Values of the storage. */
  values?: number;
  view?: Pickled;
  /** Of a storage that has none: what _rebuild_tensor_v3 is told. */
  dtype?: Global;
}

/** A tensor of a storage. */
export class Tensor {
  constructor(readonly fields: TensorFields) {}
}

export type Pickled =
  | null
  | boolean
  | number
  | string
  | readonly Pickled[]
  | Map<Pickled, Pickled>
  | { [key: string]: Pickled }
  | Global
  | Call
  | Tensor;

const DICTIONARY = new Global('collections', 'OrderedDict');

/** A pickle of protocol 2, without a memo. */
export function pickle(value: Pickled): Buffer {
  return Buffer.concat([bytes(0x80, 2), ...opcodes(value), Buffer.from('.')]);
}

function opcodes(value: Pickled): Buffer[] {
  if (value === null) return [Buffer.from('N')];
  if (typeof value === 'boolean') return [bytes(value ? 0x88 : 0x89)];
  if (typeof value === 'number') return [numberOf(value)];
  if (typeof value === 'string') return [Buffer.from('X'), u32(Buffer.byteLength(value)), Buffer.from(value)];
  if (value instanceof Global) return [Buffer.from(`c${value.module}\n${value.name}\n`)];
  if (value instanceof Tensor) return tensorOpcodes(value.fields);
  if (value instanceof Call) {
    const state = value.state === undefined ? [] : [...opcodes(value.state), Buffer.from('b')];
    return [...opcodes(value.callee), ...tuple(value.args), Buffer.from('R'), ...state];
  }
  if (Array.isArray(value)) return [Buffer.from(']('), ...value.flatMap(opcodes), Buffer.from('e')];
  const items = value instanceof Map ? [...value] : Object.entries(value);
  return [
    Buffer.from('}('),
    ...items.flatMap(([key, part]) => [...opcodes(key), ...opcodes(part)]),
    Buffer.from('u'),
  ];
}

function tensorOpcodes(fields: TensorFields): Buffer[] {
  const { storage = 'FloatStorage', key, shape, offset = 0, view, dtype } = fields;
  const count = shape.reduce((a, b) => a * b, 1);
  const { strides = contiguous(shape), values = count } = fields;
  const id = [
    'storage',
    new Global('torch', storage),
    key,
    'cpu',
    values,
    ...(view === undefined ? [] : [view]),
  ];
  return [
    ...opcodes(new Global('torch._utils', dtype ? '_rebuild_tensor_v3' : '_rebuild_tensor_v2')),
    Buffer.from('('),
    ...tuple(id),
    Buffer.from('Q'),
    ...opcodes(offset),
    ...tuple(shape),
    ...tuple(strides),
    ...opcodes(false),
    ...opcodes(new Call(DICTIONARY, [])),
    ...(dtype ? opcodes(dtype) : []),
    Buffer.from('tR'),
  ];
}

function contiguous(shape: readonly number[]): number[] {
  return shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1));
}

function tuple(values: readonly Pickled[]): Buffer[] {
  return [Buffer.from('('), ...values.flatMap(opcodes), Buffer.from('t')];
}

function numberOf(value: number): Buffer {
  if (!Number.isInteger(value)) {
    const out = Buffer.from('G--------');
    out.writeDoubleBE(value, 1);
    return out;
  }
  if (value >= 0 && value < 256) return bytes(0x4b, value);
  if (value >= -(2 ** 31) && value < 2 ** 31) return Buffer.concat([Buffer.from('J'), u32(value >>> 0)]);
  const out = Buffer.alloc(10);
  out.set([0x8a, 8]);
  out.writeBigInt64LE(BigInt(value), 2);
  return out;
}

/** A file of torch.save since 1.6. */
export function torchZip(
  value: Pickled,
  storages: Readonly<Record<string, Uint8Array>>,
  name = 'archive',
): Buffer {
  return zip([
    [`${name}/data.pkl`, pickle(value)],
    ...Object.entries(storages).map(([key, data]): ZipPart => [`${name}/data/${key}`, data]),
    [`${name}/version`, Buffer.from('3\n')],
  ]);
}

/** One before 1.6. */
export function torchLegacy(
  value: Pickled,
  storages: Readonly<Record<string, { values: number; data: Uint8Array }>>,
  { version = 1001, littleEndian = true } = {},
): Buffer {
  return Buffer.concat([
    Buffer.from('80028a0a6cfc9c46f9206aa850192e', 'hex'),
    pickle(version),
    pickle({
      protocol_version: 1001,
      little_endian: littleEndian,
      type_sizes: { short: 2, int: 4, long: 4 },
    }),
    pickle(value),
    pickle(Object.keys(storages)),
    ...Object.values(storages).flatMap(({ values, data }) => [u64(values), data]),
  ]);
}

export type ZipPart = readonly [name: string, data: Uint8Array, change?: Partial<ZipFields>];

export interface ZipFields {
  method: number;
  flags: number;
  /** What the directory says, where it is wrong. */
  header: number;
  bytes: number;
  /** Sizes and places in the extra field of archives beyond 4 GB. */
  wide: boolean;
  /** The name that the entry's own header has. */
  ownName: string;
}

/** An archive of stored entries, aligned as torch aligns them. */
export function zip(parts: readonly ZipPart[], options: ZipOptions = {}): Buffer {
  return Buffer.concat(zipPieces(parts, options));
}

/** The same in a file, where zeros may be many and take no place on the disk. */
export function writeZip(path: string, parts: readonly (ZipPart | ZipZeros)[]): void {
  const file = openSync(path, 'w');
  let at = 0;
  for (const piece of zipPieces(parts, {})) {
    if (typeof piece === 'number') at += piece;
    else at += writeSync(file, piece, 0, piece.length, at);
  }
  closeSync(file);
}

/** An entry of so many zeros. */
export type ZipZeros = readonly [name: string, zeros: number, change?: Partial<ZipFields>];

interface ZipOptions {
  comment?: string;
  wide?: boolean;
}

function zipPieces(parts: readonly ZipPart[], options: ZipOptions): Buffer[];
function zipPieces(parts: readonly (ZipPart | ZipZeros)[], options: ZipOptions): (Buffer | number)[];
function zipPieces(
  parts: readonly (ZipPart | ZipZeros)[],
  { comment = '', wide = false }: ZipOptions,
): (Buffer | number)[] {
  const body: (Buffer | number)[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const [name, data, change = {}] of parts) {
    const { method = 0, flags = 0, ownName = name } = change;
    const length = typeof data === 'number' ? data : data.length;
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(method, 8);
    local.writeUInt16LE(Buffer.byteLength(ownName), 26);
    const padding = (64 - ((at + 30 + Buffer.byteLength(ownName)) % 64)) % 64;
    local.writeUInt16LE(padding, 28);
    const header = Buffer.concat([local, Buffer.from(ownName), Buffer.alloc(padding, 'Z')]);
    const crc = typeof data === 'number' ? 0 : crc32(data);
    directory.push(
      central(name, crc, { method, flags, header: at, bytes: length, wide, ownName, ...change }),
    );
    body.push(header, typeof data === 'number' ? data : Buffer.from(data));
    at += header.length + length;
  }
  const list = Buffer.concat(directory);
  return [...body, list, end(parts.length, list.length, at, comment, wide || at > MOST_32)];
}

/** The largest number of a field that needs no extra one. */
const MOST_32 = 0xfffffffe;

function central(name: string, crc: number, { method, flags, header, bytes, wide }: ZipFields): Buffer {
  const fixed = Buffer.alloc(46);
  fixed.writeUInt32LE(0x02014b50, 0);
  fixed.writeUInt16LE(flags, 8);
  fixed.writeUInt16LE(method, 10);
  fixed.writeUInt32LE(crc, 16);
  fixed.writeUInt16LE(Buffer.byteLength(name), 28);
  // Those that do not fit, and no others, are in the extra field.
  const extras: Buffer[] = [];
  for (const [at, value] of [
    [24, bytes],
    [20, bytes],
    [42, header],
  ] as const) {
    const isWide = wide || value > MOST_32;
    fixed.writeUInt32LE(isWide ? 0xffffffff : value, at);
    if (isWide) extras.push(u64(value));
  }
  const extra =
    extras.length > 0 ? Buffer.concat([bytes16(1, 8 * extras.length), ...extras]) : Buffer.alloc(0);
  fixed.writeUInt16LE(extra.length, 30);
  return Buffer.concat([fixed, Buffer.from(name), extra]);
}

function end(count: number, bytes: number, at: number, comment: string, wide: boolean): Buffer {
  const last = Buffer.alloc(22);
  last.writeUInt32LE(0x06054b50, 0);
  last.writeUInt16LE(wide ? 0xffff : count, 10);
  last.writeUInt32LE(wide ? 0xffffffff : bytes, 12);
  last.writeUInt32LE(wide ? 0xffffffff : at, 16);
  last.writeUInt16LE(comment.length, 20);
  const text = Buffer.concat([last, Buffer.from(comment)]);
  if (!wide) return text;
  const end64 = Buffer.alloc(56);
  end64.writeUInt32LE(0x06064b50, 0);
  end64.writeBigUInt64LE(BigInt(count), 32);
  end64.writeBigUInt64LE(BigInt(bytes), 40);
  end64.writeBigUInt64LE(BigInt(at), 48);
  const locator = Buffer.alloc(20);
  locator.writeUInt32LE(0x07064b50, 0);
  locator.writeBigUInt64LE(BigInt(at + bytes), 8);
  return Buffer.concat([end64, locator, text]);
}

function bytes(...values: number[]): Buffer {
  return Buffer.from(values);
}

function bytes16(...values: number[]): Buffer {
  return Buffer.from(Uint16Array.from(values).buffer);
}

function u32(value: number): Buffer {
  const out = Buffer.alloc(4);
  out.writeUInt32LE(value);
  return out;
}

function u64(value: number): Buffer {
  const out = Buffer.alloc(8);
  out.writeBigUInt64LE(BigInt(value));
  return out;
}
