import type { LabCall, LabOutput, LabRun, PolicyFamily } from '../policy.js';
import { meanAbsolute, mix } from '../vectors.js';

/** What both caches share: of the last full call, and how strongly the output follows the input. */
class Changes {
  input: Float32Array | undefined;
  /** Output less input, of which guidance may be taken before or after: it is affine. */
  difference: Float32Array | undefined;
  rate: number | undefined;
  #output: Float32Array | undefined;
  /** Mean absolute value of the last output. */
  size = 0;

  inputChange(call: LabCall): number | undefined {
    return this.input && meanAbsolute(call.input, this.input);
  }

  /** By how much the output would have changed since the last full call, as a share of its size. */
  expected(change: number | undefined): number | undefined {
    if (change === undefined || this.rate === undefined || this.size === 0) return undefined;
    return (this.rate * change) / this.size;
  }

  keep(call: LabCall, { guided, conditional }: LabOutput, change: number | undefined): void {
    const outputChange = this.#output && meanAbsolute(conditional, this.#output);
    if (outputChange !== undefined && change) this.rate = outputChange / change;
    this.input = call.input;
    this.#output = conditional;
    this.size = meanAbsolute(conditional);
    this.difference = mix([1, guided], [-1, call.input]);
  }

  reuse(call: LabCall): Float32Array {
    return mix([1, call.input], [1, this.difference as Float32Array]);
  }
}

interface Range {
  start: number;
  end: number;
}

/** Whether a call lies between shares of training's schedule, counted from its noisy end. */
function isWithin({ start, end }: Range, { timesteps, trainSteps }: LabRun, { index }: LabCall): boolean {
  const done = 1 - (timesteps[index] as number) / (trainSteps - 1);
  return done >= start && done < end;
}

/**
 * The output is held, less what the input changed by, while the changes that are expected of it add up to less than a
 * threshold.
 */
export const EASYCACHE: PolicyFamily<{ threshold: number; start: number; end: number }> = {
  name: 'easycache',
  reference:
    'Zhou and others: Less is Enough: Training-Free Video Diffusion Acceleration via Runtime-Adaptive Caching (arXiv 2507.02860), for pictures as ComfyUI has it (nodes_easycache.py), over all values',
  defaults: { threshold: 0.2, start: 0.15, end: 0.95 },
  front: [0.05, 0.1, 0.2, 0.4, 0.8].map((threshold) => ({ threshold })),
  begin({ threshold, ...range }, run) {
    const changes = new Changes();
    let sum = 0;
    return async (call) => {
      const change = isWithin(range, run, call) ? changes.inputChange(call) : undefined;
      const expected = changes.expected(change);
      if (expected !== undefined) {
        sum += expected;
        if (sum < threshold) return changes.reuse(call);
        sum = 0;
      }
      const output = await call.full();
      changes.keep(call, output, change);
      return output.guided;
    };
  },
};

/** The same idea for U-Nets: the threshold is of the first output's size, and what is outside of the range is not looked at. */
export const UCACHE: PolicyFamily<{ threshold: number; start: number; end: number }> = {
  name: 'ucache',
  reference:
    'stable-diffusion.cpp, ucache.hpp at 28ef93c: reset after a call, relative threshold, its early multiplier 0.5 throughout, as that version has it',
  defaults: { threshold: 1, start: 0.15, end: 0.95 },
  front: [0.15, 0.3, 0.6, 1, 2].map((threshold) => ({ threshold })),
  begin({ threshold, ...range }, run) {
    const changes = new Changes();
    let sum = 0;
    let first = 0;
    return async (call) => {
      if (!isWithin(range, run, call)) return (await call.full()).guided;
      const change = changes.inputChange(call);
      const expected = changes.expected(change);
      if (expected !== undefined) {
        sum += expected;
        if (sum < 0.5 * threshold * first) return changes.reuse(call);
        sum = 0;
      }
      const output = await call.full();
      changes.keep(call, output, change);
      first ||= changes.size;
      return output.guided;
    };
  },
};
