/** Receives what a user should know but need not act on. */
export type Log = (message: string) => void;

/** To standard error, so that it never mixes with a program's output. */
export const defaultLog: Log = (message) => {
  process.stderr.write(`deepcache: ${message}\n`);
};
