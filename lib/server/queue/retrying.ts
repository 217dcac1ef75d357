import { setTimeout as sleep } from 'node:timers/promises';

/** Milliseconds before another try: the first, and the most. */
const PAUSE = [50, 2000] as const;
/** Tries of what is refused, which may pass: memory that is full, scripts that are loaded, rights that come back. */
const MOST_REFUSALS = 20;

/** A store that answers does not do what it is asked for. */
export class Refused extends Error {
  override readonly name = 'Refused';
}

const isRefusal = (error: unknown) => error instanceof Refused || (error as Error)?.name === 'ReplyError';

/**
 * Does something until it succeeds: connections come back. Rejects when the signal aborts, or when it is refused again and again.
 *
 * @param onFailure is told why the first try failed.
 */
export async function persist<T>(
  work: () => Promise<T>,
  signal: AbortSignal,
  onFailure: (error: unknown) => void = () => {},
): Promise<T> {
  for (let attempt = 0, refusals = 0; ; attempt++) {
    signal.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      if (attempt === 0) onFailure(error);
      if (isRefusal(error) && ++refusals >= MOST_REFUSALS) throw error;
      await sleep(Math.min(PAUSE[0] * 2 ** attempt, PAUSE[1]), undefined, { signal, ref: false });
    }
  }
}
