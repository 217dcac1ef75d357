import { CosineDPMSolverMultistepScheduler } from './cosine-dpmsolver-multistep.js';
import { DDIMScheduler } from './ddim.js';
import { DDIMInverseScheduler } from './ddim-inverse.js';
import { LatentDDIMScheduler } from './ddim-latent.js';
import { OriginalDDIMScheduler } from './ddim-original.js';
import { DDPMScheduler } from './ddpm.js';
import { DEISMultistepScheduler } from './deis-multistep.js';
import { DPMSolverMultistepScheduler } from './dpmsolver-multistep.js';
import { DPMSolverMultistepInverseScheduler } from './dpmsolver-multistep-inverse.js';
import { DPMSolverSDEScheduler } from './dpmsolver-sde.js';
import { DPMSolverSinglestepScheduler } from './dpmsolver-singlestep.js';
import { EDMDPMSolverMultistepScheduler } from './edm-dpmsolver-multistep.js';
import { EDMEulerScheduler } from './edm-euler.js';
import { EulerAncestralDiscreteScheduler } from './euler-ancestral.js';
import { EulerDiscreteScheduler } from './euler-discrete.js';
import { FlowMatchEulerDiscreteScheduler } from './flow-match-euler-discrete.js';
import { HeunDiscreteScheduler } from './heun-discrete.js';
import { IPNDMScheduler } from './ipndm.js';
import { KDPM2AncestralDiscreteScheduler } from './kdpm2-ancestral-discrete.js';
import { KDPM2DiscreteScheduler } from './kdpm2-discrete.js';
import { LCMScheduler } from './lcm.js';
import { LMSDiscreteScheduler } from './lms-discrete.js';
import { PNDMScheduler } from './pndm.js';
import { registerScheduler } from './registry.js';
import { RePaintScheduler } from './repaint.js';
import { SASolverScheduler } from './sasolver.js';
import { TCDScheduler } from './tcd.js';
import { UniPCMultistepScheduler } from './unipc-multistep.js';

for (const scheduler of [
  CosineDPMSolverMultistepScheduler,
  DDIMInverseScheduler,
  DDIMScheduler,
  DDPMScheduler,
  DEISMultistepScheduler,
  DPMSolverMultistepInverseScheduler,
  DPMSolverMultistepScheduler,
  DPMSolverSDEScheduler,
  DPMSolverSinglestepScheduler,
  EDMDPMSolverMultistepScheduler,
  EDMEulerScheduler,
  EulerAncestralDiscreteScheduler,
  EulerDiscreteScheduler,
  FlowMatchEulerDiscreteScheduler,
  HeunDiscreteScheduler,
  IPNDMScheduler,
  KDPM2AncestralDiscreteScheduler,
  KDPM2DiscreteScheduler,
  LatentDDIMScheduler,
  LCMScheduler,
  LMSDiscreteScheduler,
  OriginalDDIMScheduler,
  PNDMScheduler,
  RePaintScheduler,
  SASolverScheduler,
  TCDScheduler,
  UniPCMultistepScheduler,
]) {
  registerScheduler(scheduler);
}

export { ALIGN_YOUR_STEPS } from './align-your-steps.js';
export type { CompiledRow, CompiledSchedule, CompileOptions, MotionDraws, NoiseLevel } from './compiled.js';
export type { SchedulerConfig } from './config.js';
export type { SchedulerName } from './known-names.js';
export { schedulerNames } from './registry.js';
export type { SamplerOptions } from './run-options.js';
export { type ModelCall, type RowState, type RunTableOptions, runTable, runTableAsync } from './run-table.js';
export { Scheduler } from './scheduler.js';
export type { SchedulerClass } from './scheduler-class.js';
export * from './table.js';
export {
  CosineDPMSolverMultistepScheduler,
  DDIMInverseScheduler,
  DDIMScheduler,
  DDPMScheduler,
  DEISMultistepScheduler,
  DPMSolverMultistepInverseScheduler,
  DPMSolverMultistepScheduler,
  DPMSolverSDEScheduler,
  DPMSolverSinglestepScheduler,
  EDMDPMSolverMultistepScheduler,
  EDMEulerScheduler,
  EulerAncestralDiscreteScheduler,
  EulerDiscreteScheduler,
  FlowMatchEulerDiscreteScheduler,
  HeunDiscreteScheduler,
  IPNDMScheduler,
  KDPM2AncestralDiscreteScheduler,
  KDPM2DiscreteScheduler,
  LatentDDIMScheduler,
  LCMScheduler,
  LMSDiscreteScheduler,
  OriginalDDIMScheduler,
  PNDMScheduler,
  RePaintScheduler,
  SASolverScheduler,
  TCDScheduler,
  UniPCMultistepScheduler,
};
