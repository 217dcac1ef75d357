import type { StepEvent } from '../pipelines/outputs/result.js';
import { formatSeconds } from './format.js';
import type { StatusLine } from './status-line.js';

const FULL = '#';
const CACHED = '=';
const OPEN = '.';
const MAX_WIDTH = 50;

/** The progress bar of a run: full steps are drawn as `#`, those from the cache as `=`. */
export class StepProgress {
  readonly #steps: boolean[] = [];
  #start = performance.now();

  constructor(private readonly line: StatusLine) {}

  update({ step, steps, full, seconds }: StepEvent): void {
    if (step === 1) {
      this.#steps.length = 0;
      this.#start = performance.now() - seconds * 1000;
    }
    this.#steps[step - 1] = full;
    const elapsed = (performance.now() - this.#start) / 1000;
    const rate = step / Math.max(elapsed, 1e-6);
    const numbers = [
      ` ${String(step).padStart(String(steps).length)}/${steps}`,
      rate >= 1 ? `${rate.toFixed(2)} it/s` : `${(1 / rate).toFixed(2)} s/it`,
      `ETA ${formatSeconds((steps - step) / rate)}`,
      full ? 'full' : 'cached',
    ].join('  ');
    this.line.show(this.#bar(steps, this.line.columns - numbers.length - 3) + numbers, step === steps);
  }

  /** One cell for each step; where they do not fit, a cell is full if any of its steps is. */
  #bar(steps: number, room: number): string {
    const width = Math.min(steps, MAX_WIDTH, room);
    if (width < 5) return '';
    const cell = (i: number) => {
      const [first, last] = [Math.floor((i * steps) / width), Math.floor(((i + 1) * steps) / width)];
      if (this.#steps.length < last) return OPEN;
      return this.#steps.slice(first, last).includes(true) ? FULL : CACHED;
    };
    return `[${Array.from({ length: width }, (_, i) => cell(i)).join('')}]`;
  }
}
