import type { StepEvent } from '../pipelines/outputs/result.js';
import { formatSeconds } from './format.js';
import type { StatusLine } from './status-line.js';

/** A call's cell, and its name. */
const KINDS = { full: ['#', 'full'], retrieve: ['=', 'cached'], predict: ['-', 'predicted'] } as const;
const OPEN = '.';
const MAX_WIDTH = 50;

/** The progress bar of a run: full calls are drawn as `#`, those from the cache as `=`, predicted ones as `-`. */
export class StepProgress {
  readonly #kinds: StepEvent['kind'][] = [];
  #start = performance.now();

  constructor(private readonly line: StatusLine) {}

  update({ call, calls, kind, seconds }: StepEvent): void {
    if (call === 1) {
      this.#kinds.length = 0;
      this.#start = performance.now() - seconds * 1000;
    }
    this.#kinds[call - 1] = kind;
    const elapsed = (performance.now() - this.#start) / 1000;
    const rate = call / Math.max(elapsed, 1e-6);
    const numbers = [
      ` ${String(call).padStart(String(calls).length)}/${calls}`,
      rate >= 1 ? `${rate.toFixed(2)} it/s` : `${(1 / rate).toFixed(2)} s/it`,
      `ETA ${formatSeconds((calls - call) / rate)}`,
      KINDS[kind][1],
    ].join('  ');
    this.line.show(this.#bar(calls, this.line.columns - numbers.length - 3) + numbers, call === calls);
  }

  /** One cell for each call; where they do not fit, a cell shows the most that any of its calls computed. */
  #bar(calls: number, room: number): string {
    const width = Math.min(calls, MAX_WIDTH, room);
    if (width < 5) return '';
    const cell = (i: number) => {
      const [first, last] = [Math.floor((i * calls) / width), Math.floor(((i + 1) * calls) / width)];
      if (this.#kinds.length < last) return OPEN;
      const here = this.#kinds.slice(first, last);
      return Object.entries(KINDS).find(([kind]) => here.includes(kind as StepEvent['kind']))?.[1][0] ?? OPEN;
    };
    return `[${Array.from({ length: width }, (_, i) => cell(i)).join('')}]`;
  }
}
