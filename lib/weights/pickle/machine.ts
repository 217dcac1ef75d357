import { PickleBytes, PickleProblem } from './bytes.js';
import type { PickledTensor, PickleValue } from './values.js';

/** What real checkpoints stay far below; the largest have a few thousand tensors, of about 40 opcodes each. */
export const PICKLE_LIMITS = {
  /** Bytes of a pickle. */
  bytes: 2 ** 26,
  opcodes: 8_000_000,
  /** Dictionaries, lists and objects in all. */
  containers: 1_000_000,
  tensors: 100_000,
  /** Bytes of one text. */
  text: 2 ** 20,
} as const;

/** Where a list of values begins on the stack. */
export const MARK = Symbol('mark');

/** The state of a pickle that is being read: its format is a program for a machine with a stack and a memo. */
export class PickleMachine {
  readonly bytes: PickleBytes;
  readonly stack: (PickleValue | typeof MARK)[] = [];
  readonly memo = new Map<number, PickleValue>();
  readonly tensors: PickledTensor[] = [];
  containers = 0;
  isDone = false;

  constructor(bytes: Buffer, start: number) {
    this.bytes = new PickleBytes(bytes, start);
  }

  push(value: PickleValue): void {
    this.stack.push(value);
  }

  pop(): PickleValue {
    const value = this.stack.pop();
    if (value === undefined || value === MARK) throw new PickleProblem('takes a value that is not there');
    return value;
  }

  top(): PickleValue {
    const value = this.stack.at(-1);
    if (value === undefined || value === MARK) throw new PickleProblem('takes a value that is not there');
    return value;
  }

  /** The values behind the last mark, which goes too. */
  popToMark(): PickleValue[] {
    const at = this.stack.lastIndexOf(MARK);
    if (at < 0) throw new PickleProblem('takes a value that is not there');
    const values = this.stack.splice(at).slice(1);
    return values as PickleValue[];
  }

  text(length: number): string {
    if (length > PICKLE_LIMITS.text) throw new PickleProblem(`has a text of ${length} bytes`);
    return this.bytes.text(length);
  }

  /** Counts something that takes memory. */
  container<T>(value: T): T {
    if (++this.containers > PICKLE_LIMITS.containers) throw new PickleProblem('has too many objects');
    return value;
  }
}
