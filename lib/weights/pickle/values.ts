import type { StoredTensor } from '../stored-tensor.js';

/** What a pickle holds: Python's dictionaries are maps, its lists and tuples arrays. Nothing has methods of its own. */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PickleValue[]
  | Map<PickleValue, PickleValue>
  | PickledTensor
  | PickledStorage
  | InertClass
  | InertObject;

/** A class or function that a pickle names, and that nothing is done with. */
export class InertClass {
  constructor(readonly name: string) {}
}

/** What would be an object of a class that is not needed for tensors: what it would be made of. */
export class InertObject {
  /** Its attributes, where they were given. */
  state: PickleValue = null;
  /** What was put into it as into a dictionary or a list. */
  items: Map<PickleValue, PickleValue> | undefined;
  list: PickleValue[] | undefined;

  constructor(
    readonly className: string,
    readonly args: readonly PickleValue[],
  ) {}

  asMap(): Map<PickleValue, PickleValue> {
    this.items ??= new Map();
    return this.items;
  }

  asList(): PickleValue[] {
    this.list ??= [];
    return this.list;
  }
}

/** Values that several tensors may share, as a pickle names them. */
export class PickledStorage {
  constructor(
    readonly key: string,
    /** Undefined: bytes, which tensors have the dtype of. */
    readonly dtype: string | undefined,
    /** Bytes; less than are there for one that is part of another. */
    readonly bytes: number,
    /** Bytes from the start of what has the key. */
    readonly start: number,
    /** Bytes of one value. */
    readonly valueBytes: number,
  ) {}
}

/** A tensor of a pickle. Its place in the file is known when the whole file has been looked at. */
export class PickledTensor implements StoredTensor {
  readonly name = '';
  file = '';
  offset = 0;

  constructor(
    readonly storage: PickledStorage,
    /** Bytes from the storage's start. */
    readonly start: number,
    readonly dtype: string,
    readonly shape: readonly number[],
    readonly bytes: number,
    readonly transposed: boolean,
    /** Why its values cannot be read where they lie. */
    readonly problem: string | undefined,
  ) {}
}
