import { ancestralStep } from './ancestral.js';
import { type Halfway, KDPM2DiscreteScheduler, middleOf } from './kdpm2-discrete.js';

const f32 = Math.fround;

/**
 * {@link KDPM2DiscreteScheduler} with steps to a lower sigma, from where fresh noise leads back up: k-diffusion's
 * sample_dpm_2_ancestral (diffusers' KDPM2AncestralDiscreteScheduler). One noise draw per step but the last.
 */
export class KDPM2AncestralDiscreteScheduler extends KDPM2DiscreteScheduler {
  static override readonly className: string = 'KDPM2AncestralDiscreteScheduler';

  protected override get isAncestral(): boolean {
    return true;
  }

  protected override halfway(sigma: number, next: number): Halfway {
    const { down, up } = singleStep(sigma, next);
    if (down > 0 || next === 0) return { sigma, middle: middleOf(sigma, down), down, up };
    // Less than single precision can tell from zero: half-way is the next level.
    return { sigma, middle: next, ...ancestralStep(sigma, next) };
  }
}

/**
 * {@link ancestralStep} as diffusers computes its table: what single precision cancels can be seen in the timesteps, for
 * half-way to `down` is `to` but for that.
 */
function singleStep(from: number, to: number): { down: number; up: number } {
  const [from2, to2] = [f32(from * from), f32(to * to)];
  const up = f32(Math.sqrt(f32(f32(to2 * f32(from2 - to2)) / from2)));
  return { up, down: f32(Math.sqrt(f32(to2 - f32(up * up)))) };
}
