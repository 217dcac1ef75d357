import { oneLine, printable } from './printable.js';

/**
 * Receives what a user should know but need not act on. What it throws, or the rejection of a promise that it returns, ends what it
 * was called from with that error.
 */
export type Log = (message: string) => unknown;

/** To standard error, so that it never mixes with a program's output. */
export const defaultLog: Log = (message) => {
  process.stderr.write(`deepcache: ${oneLine(message)}\n`);
};

/** A user's log, or the default one, without what a terminal would obey: messages quote what files say. */
export function printableLog(log: Log = defaultLog): Log {
  return (message) => log(printable(message));
}
