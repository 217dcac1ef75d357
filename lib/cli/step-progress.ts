import type { StepEvent } from '../pipelines/outputs/result.js';
import { formatSeconds } from './format.js';
import type { StatusLine } from './status-line.js';

const FULL = '#';
const CACHED = '=';
const OPEN = '.';
const MAX_WIDTH = 50;

/** The progress bar of a run: full calls are drawn as `#`, those from the cache as `=`. */
export class StepProgress {
  readonly #full: boolean[] = [];
  #start = performance.now();

  constructor(private readonly line: StatusLine) {}

  update({ call, calls, full, seconds }: StepEvent): void {
    if (call === 1) {
      this.#full.length = 0;
      this.#start = performance.now() - seconds * 1000;
    }
    this.#full[call - 1] = full;
    const elapsed = (performance.now() - this.#start) / 1000;
    const rate = call / Math.max(elapsed, 1e-6);
    const numbers = [
      ` ${String(call).padStart(String(calls).length)}/${calls}`,
      rate >= 1 ? `${rate.toFixed(2)} it/s` : `${(1 / rate).toFixed(2)} s/it`,
      `ETA ${formatSeconds((calls - call) / rate)}`,
      full ? 'full' : 'cached',
    ].join('  ');
    this.line.show(this.#bar(calls, this.line.columns - numbers.length - 3) + numbers, call === calls);
  }

  /** One cell for each call; where they do not fit, a cell is full if any of its calls is. */
  #bar(calls: number, room: number): string {
    const width = Math.min(calls, MAX_WIDTH, room);
    if (width < 5) return '';
    const cell = (i: number) => {
      const [first, last] = [Math.floor((i * calls) / width), Math.floor(((i + 1) * calls) / width)];
      if (this.#full.length < last) return OPEN;
      return this.#full.slice(first, last).includes(true) ? FULL : CACHED;
    };
    return `[${Array.from({ length: width }, (_, i) => cell(i)).join('')}]`;
  }
}
