import { setTimeout as sleep } from 'node:timers/promises';

/** Milliseconds before another try: the first, and the most. */
const PAUSE = [50, 2000] as const;
/** Tries of what Redis itself refuses, which may pass: memory that is full, scripts that are loaded. */
const MOST_REFUSALS = 20;

/** Does something until it succeeds: connections come back. Rejects when the signal aborts, or when it is refused again and again. */
export async function persist<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (let attempt = 0, refusals = 0; ; attempt++) {
    signal.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      if ((error as Error)?.name === 'ReplyError' && ++refusals >= MOST_REFUSALS) throw error;
      await sleep(Math.min(PAUSE[0] * 2 ** attempt, PAUSE[1]), undefined, { signal, ref: false });
    }
  }
}
