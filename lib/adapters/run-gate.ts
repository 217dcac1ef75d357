import { untilAborted } from '../aborting.js';

interface Waiting {
  readonly isChange: boolean;
  begin(): void;
}

/**
 * Runs over the same models, which go on side by side, and changes of these models, each of which has them to itself:
 * first come, first served.
 */
export class RunGate {
  readonly #waiting: Waiting[] = [];
  #runs = 0;
  #changing = false;

  /** Work that sees the models as they are when it begins. */
  run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    return this.#enter(false, work, signal);
  }

  /** Work that changes them. */
  change<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    return this.#enter(true, work, signal);
  }

  async #enter<T>(isChange: boolean, work: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    signal?.throwIfAborted();
    let call: Waiting | undefined;
    const turn = new Promise<void>((begin) => {
      call = { isChange, begin };
      this.#waiting.push(call);
      this.#beginReady();
    });
    try {
      await untilAborted(turn, signal);
    } catch (error) {
      const at = this.#waiting.indexOf(call as Waiting);
      if (at >= 0) this.#waiting.splice(at, 1);
      // Its turn has come in the same moment.
      else this.#leave(isChange);
      this.#beginReady();
      throw error;
    }
    try {
      return await work();
    } finally {
      this.#leave(isChange);
    }
  }

  #leave(isChange: boolean): void {
    if (isChange) this.#changing = false;
    else this.#runs--;
    this.#beginReady();
  }

  #beginReady(): void {
    for (let next = this.#waiting[0]; next && !this.#changing; next = this.#waiting[0]) {
      if (next.isChange && this.#runs > 0) return;
      this.#waiting.shift();
      if (next.isChange) this.#changing = true;
      else this.#runs++;
      next.begin();
    }
  }
}
