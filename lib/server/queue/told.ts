import { messageOf } from '../../errors.js';
import type { Log } from '../../log.js';

/** Tells an operator what goes wrong, but not again and again, and not that Redis is away, which is said elsewhere. */
export function told(log: Log, isAway: () => boolean): (error: unknown) => void {
  let last = '';
  return (error) => {
    const words = messageOf(error);
    if (isAway() || words === last) return;
    last = words;
    log(`the queue: ${words}`);
  };
}
