import { setImmediate as yieldToLoop } from 'node:timers/promises';
import { PickleProblem } from './bytes.js';
import { PICKLE_LIMITS, PickleMachine } from './machine.js';
import { OPCODES } from './opcodes.js';
import type { PickledTensor, PickleValue } from './values.js';

const OPCODES_AT_ONCE = 50_000;

/**
 * Runs the pickle at `start` of the bytes. It makes data, and can do nothing else: opcodes and names that data does not
 * need are errors.
 *
 * @returns its value, its tensors, which have no place yet, and where it ends.
 * @throws PickleProblem of what is damaged or not wanted; the signal's reason.
 */
export async function runPickle(
  bytes: Buffer,
  start: number,
  signal: AbortSignal | undefined,
): Promise<{ value: PickleValue; tensors: PickledTensor[]; end: number }> {
  const machine = new PickleMachine(bytes, start);
  for (let opcodes = 0; !machine.isDone; opcodes++) {
    if (opcodes === PICKLE_LIMITS.opcodes) throw new PickleProblem('has too many opcodes');
    if (opcodes % OPCODES_AT_ONCE === OPCODES_AT_ONCE - 1) {
      await yieldToLoop();
      signal?.throwIfAborted();
    }
    const code = machine.bytes.u8();
    const run = OPCODES[code];
    if (!run)
      throw new PickleProblem(`has the opcode 0x${code.toString(16)}, which files of weights do not need`);
    run(machine);
  }
  return { value: machine.pop(), tensors: machine.tensors, end: machine.bytes.at };
}
