import { oneLine } from '../printable.js';
import type { CliContext } from './context.js';
import { formatSeconds } from './format.js';

const REDRAW_MILLISECONDS = 50;

/**
 * What a command reports besides its result, on standard error: remarks, and one line at the bottom of a terminal that is
 * drawn over again. Without a terminal that line is printed now and then, for logs to show that work goes on.
 */
export class StatusLine {
  #drawn = performance.now();
  #isShown = false;

  constructor(
    private readonly context: CliContext,
    private readonly isEnabled = true,
  ) {}

  get columns(): number {
    return this.isEnabled ? this.context.columns() : 0;
  }

  /** Shows a text; one of many in a short time may be left out. */
  show(text: string, isImportant = true): void {
    if (!this.isEnabled || this.context.signal.aborted) return;
    const columns = this.columns;
    const now = performance.now();
    const pause = columns === 0 ? this.context.linePause : isImportant ? 0 : REDRAW_MILLISECONDS;
    if (now - this.#drawn < pause) return;
    this.#drawn = now;
    if (columns === 0) {
      this.context.err(`deepcache: ${oneLine(text.trim())}\n`);
      return;
    }
    this.#isShown = true;
    // The last column stays free: some terminals wrap when it is written to.
    this.context.control(`\r${oneLine(text).slice(0, columns - 1)}\x1b[K`);
  }

  /** Tells something for good, unless the user wants it quiet. */
  remark(message: string): void {
    if (this.isEnabled) this.warn(message);
  }

  /** Tells something for good, also where it should be quiet. */
  warn(message: string): void {
    this.clear();
    this.context.err(`deepcache: ${oneLine(message)}\n`);
  }

  /** Takes the line away, for other output or at the end. */
  clear(): void {
    if (this.#isShown && !this.context.signal.aborted) this.context.control('\r\x1b[K');
    this.#isShown = false;
  }
}

/** Progress of work that is measured in some unit: `update` takes what is done and what there is in all. */
export class WorkProgress {
  readonly #start = performance.now();

  constructor(
    private readonly line: StatusLine,
    private readonly label: string,
    private readonly unit: (amount: number) => string,
  ) {}

  update(done: number, total: number): void {
    const share = total > 0 ? done / total : 1;
    const seconds = (performance.now() - this.#start) / 1000;
    const left = share > 0 ? `, ${formatSeconds((seconds / share) * (1 - share))} left` : '';
    const percent = `${Math.floor(share * 100)}`.padStart(3);
    this.line.show(`${this.label} ${percent} % of ${this.unit(total)}${left}`, done === total);
  }
}
