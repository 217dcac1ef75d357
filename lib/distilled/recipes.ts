import type { SchedulerConfig } from '../schedulers/index.js';

/** Ways in which models, or adapters for models, were distilled to need few steps (docs/few-step.md). */
export const DISTILLATIONS = ['lcm', 'tcd', 'turbo', 'lightning', 'hyper', 'dmd2'] as const;

export type Distillation = (typeof DISTILLATIONS)[number];

/** Options of a run, as those who published such models recommend them. */
export interface Recipe {
  readonly steps: number;
  readonly guidanceScale: number;
  readonly scheduler: SchedulerConfig;
  readonly eta?: number;
  /** In the place of the sampler's own. */
  readonly timesteps?: readonly number[];
}

const EULER = { _class_name: 'EulerDiscreteScheduler', timestep_spacing: 'trailing' };
const EULER_ANCESTRAL = { ...EULER, _class_name: 'EulerAncestralDiscreteScheduler' };
const DDIM = { _class_name: 'DDIMScheduler', timestep_spacing: 'trailing' };
const LCM = { _class_name: 'LCMScheduler' };
const TCD = { _class_name: 'TCDScheduler' };

/** By the number of steps, which the networks of some of them are made for. */
const RECIPES: Readonly<Record<Distillation, (steps: number) => Omit<Recipe, 'steps'>>> = {
  lcm: () => ({ scheduler: LCM, guidanceScale: 1 }),
  tcd: () => ({ scheduler: TCD, guidanceScale: 0, eta: 0.3 }),
  turbo: () => ({ scheduler: EULER_ANCESTRAL, guidanceScale: 0 }),
  // The network for a single step predicts the picture itself.
  lightning: (steps) => ({
    scheduler: steps === 1 ? { ...EULER, prediction_type: 'sample' } : EULER,
    guidanceScale: 0,
  }),
  hyper: (steps) =>
    steps === 1
      ? { scheduler: LCM, guidanceScale: 0, timesteps: [800] }
      : { scheduler: DDIM, guidanceScale: 0 },
  dmd2: (steps) => ({ scheduler: LCM, guidanceScale: 0, ...timestepsOf(DMD2[steps]) }),
};

/** The timesteps that the networks of DMD2 were trained on, by their number. */
const DMD2: Readonly<Record<number, readonly number[]>> = { 1: [399], 4: [999, 749, 499, 249] };

const timestepsOf = (timesteps: readonly number[] | undefined) => (timesteps ? { timesteps } : {});

const STEPS = 4;

/** The recipe for a number of steps. */
export function recipeOf(distillation: Distillation, steps = STEPS): Recipe {
  return { steps, ...RECIPES[distillation](steps) };
}
