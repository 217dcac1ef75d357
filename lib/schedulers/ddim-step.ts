import type { RowBuilder } from './compiled.js';
import { combine, type Linear, slot } from './linear.js';

/** A step of DDIM as the code of its papers has it: x0 unclipped, noise drawn whether it is used or not. */
export interface DdimStep {
  timestep: number;
  /** Share of signal at the timestep, and after the step. */
  alpha: number;
  alphaPrevious: number;
  /** 0 is deterministic, 1 as noisy as DDPM. */
  eta: number;
}

/** Adds the step's row (Song et al. 2021, equation 12). */
export function addDdimStep(builder: RowBuilder, { timestep, alpha, alphaPrevious, eta }: DdimStep): void {
  const deviation = eta * Math.sqrt(((1 - alphaPrevious) / (1 - alpha)) * (1 - alpha / alphaPrevious));
  builder.add({
    timestep,
    x0: { x: 1 / Math.sqrt(alpha), m: -Math.sqrt((1 - alpha) / alpha) },
    assign: [['x', ddimSample(alphaPrevious, deviation)]],
    noise: builder.draw(),
  });
}

/** The next sample of clean latents, noise, and a draw with the standard deviation that is wanted. */
export function ddimSample(alphaPrevious: number, deviation: number): Linear {
  return combine(
    [Math.sqrt(alphaPrevious), slot('x0')],
    [Math.sqrt(1 - alphaPrevious - deviation ** 2), slot('m')],
    [deviation, slot('noise')],
  );
}
