import type { JobEvent } from './job.js';

/** The events of a job, which any number of listeners read at their own pace. */
export class EventLog {
  readonly #events: JobEvent[] = [];
  #ended = false;
  #preview: number | undefined;
  #wake: (() => void)[] = [];

  /** One that ends the job is the last. */
  push(event: JobEvent): void {
    if (this.#ended) return;
    this.#events.push(event);
    this.#ended = event.type === 'done' || event.type === 'failed' || event.type === 'cancelled';
    if (event.type === 'step' && event.preview) this.#keepPreview(this.#events.length - 1);
    const waiting = this.#wake;
    this.#wake = [];
    for (const wake of waiting) wake();
  }

  async *read(from = 0): AsyncGenerator<JobEvent, void, void> {
    for (let i = from; ; i++) {
      while (i >= this.#events.length) {
        if (this.#ended) return;
        await new Promise<void>((resolve) => this.#wake.push(resolve));
      }
      yield this.#events[i] as JobEvent;
    }
  }

  /** Latents of all steps would be megabytes: those of the newest preview are enough for who comes late. */
  #keepPreview(index: number): void {
    const last = this.#preview === undefined ? undefined : this.#events[this.#preview];
    if (last?.type === 'step') {
      const { preview: _, ...rest } = last;
      this.#events[this.#preview as number] = rest;
    }
    this.#preview = index;
  }
}
