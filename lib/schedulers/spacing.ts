import { invalidArgument } from '../errors.js';
import { linspace, roundHalfEven } from '../math/numpy.js';

/** How the timesteps of a run are spread over the training steps (Lin et al. 2023, table 2). */
export const TIMESTEP_SPACINGS = ['linspace', 'leading', 'trailing'] as const;
export type TimestepSpacing = (typeof TIMESTEP_SPACINGS)[number];

export interface SpacingOptions {
  spacing: TimestepSpacing;
  steps: number;
  trainSteps: number;
  stepsOffset: number;
}

/** Whole timesteps from high to low. Follows numpy to the last bit, halves are rounded to even. */
export function spaceTimesteps(options: SpacingOptions): number[] {
  const { spacing, steps, trainSteps, stepsOffset } = options;
  switch (spacing) {
    case 'linspace':
      return linspace(0, trainSteps - 1, steps)
        .map(roundHalfEven)
        .reverse();
    case 'leading': {
      const ratio = Math.floor(trainSteps / steps);
      return Array.from({ length: steps }, (_, i) => (steps - 1 - i) * ratio + stepsOffset);
    }
    case 'trailing':
      return trailing(trainSteps, trainSteps / steps, steps);
  }
}

/** As {@link spaceTimesteps}, but linspace keeps its fractions (the samplers that work on sigmas). */
export function spaceFractionalTimesteps(options: SpacingOptions): number[] {
  if (options.spacing !== 'linspace') return spaceTimesteps(options);
  return linspace(0, options.trainSteps - 1, options.steps).reverse();
}

/**
 * The DPM-Solver family's spacing: linspace and leading space steps + 1 values and leave out the lowest, trailing
 * starts from `lastTimestep`, the number of usable training steps.
 */
export function spaceSolverTimesteps(options: SpacingOptions & { lastTimestep: number }): number[] {
  const { spacing, steps, trainSteps, lastTimestep, stepsOffset } = options;
  switch (spacing) {
    case 'linspace':
      return linspace(0, lastTimestep - 1, steps + 1)
        .map(roundHalfEven)
        .reverse()
        .slice(0, -1);
    case 'leading': {
      const ratio = Math.floor(lastTimestep / (steps + 1));
      if (ratio === 0) {
        throw invalidArgument(
          'steps',
          `must be below ${lastTimestep} with timestep_spacing leading, got ${steps}`,
        );
      }
      return Array.from({ length: steps }, (_, i) => (steps - i) * ratio + stepsOffset);
    }
    case 'trailing': {
      // From a clipped start the usual strides may end below zero.
      const ratio = trainSteps / steps;
      return trailing(
        lastTimestep,
        lastTimestep - (steps - 1) * ratio < 1 ? lastTimestep / steps : ratio,
        steps,
      );
    }
  }
}

/**
 * The values of numpy.arange(start, 0, -step), rounded, less 1; but `count` of them: with an inexact step numpy may make
 * one more, for a timestep of -1.
 */
function trailing(start: number, step: number, count: number): number[] {
  const delta = start - step - start;
  return Array.from({ length: count }, (_, i) => roundHalfEven(start + i * delta) - 1);
}
