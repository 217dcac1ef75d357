import type { SchedulerConfig } from './config.js';
import { SIGMA_SPACING_DEFAULTS } from './sigma-spacing.js';

/** What a name of a user interface means here. */
interface Sampler {
  className: string;
  fields: SchedulerConfig;
}

/** Without a word for the spacing the names of DPM mean the plain one, whatever a model's own sampler has. */
const plain = (className: string, fields: SchedulerConfig = {}): Sampler => ({
  className,
  fields: { ...fields, ...SIGMA_SPACING_DEFAULTS },
});

const dpm = (algorithm: string, order: number): Sampler =>
  plain('DPMSolverMultistepScheduler', { algorithm_type: algorithm, solver_order: order });

/** Two calls of a step, the first half-way (k-diffusion's dpm_2, dpm_2_ancestral). */
const dpm2 = plain('KDPM2DiscreteScheduler');
const dpm2a = plain('KDPM2AncestralDiscreteScheduler');

/**
 * Samplers by the names of AUTOMATIC1111's web UI, ComfyUI, InvokeAI and stable-diffusion.cpp, in small letters and
 * without spaces, hyphens and underscores (the table of diffusers' documentation, "Schedulers").
 */
const SAMPLERS: Readonly<Record<string, Sampler>> = {
  eulera: { className: 'EulerAncestralDiscreteScheduler', fields: {} },
  eulerancestral: { className: 'EulerAncestralDiscreteScheduler', fields: {} },
  euler: { className: 'EulerDiscreteScheduler', fields: {} },
  heun: { className: 'HeunDiscreteScheduler', fields: {} },
  lms: { className: 'LMSDiscreteScheduler', fields: {} },
  plms: { className: 'PNDMScheduler', fields: { skip_prk_steps: true } },
  unipc: { className: 'UniPCMultistepScheduler', fields: {} },
  unipcbh2: { className: 'UniPCMultistepScheduler', fields: { solver_type: 'bh2' } },
  ddim: { className: 'DDIMScheduler', fields: {} },
  ddpm: { className: 'DDPMScheduler', fields: {} },
  lcm: { className: 'LCMScheduler', fields: {} },
  'dpmsolver++': dpm('dpmsolver++', 2),
  'dpm++2m': dpm('dpmsolver++', 2),
  'dpm++2msde': dpm('sde-dpmsolver++', 2),
  'dpm++3msde': dpm('sde-dpmsolver++', 3),
  'dpm++2s': plain('DPMSolverSinglestepScheduler', { algorithm_type: 'dpmsolver++', solver_order: 2 }),
  'dpm++sde': plain('DPMSolverSDEScheduler'),
  dpm2,
  kdpm2: dpm2,
  dpm2a,
  dpm2ancestral: dpm2a,
  kdpm2a: dpm2a,
  deis: { className: 'DEISMultistepScheduler', fields: {} },
  sasolver: { className: 'SASolverScheduler', fields: {} },
};

/** Words behind the name of a sampler that say how its steps are spaced. */
const SPACINGS: Readonly<Record<string, SchedulerConfig>> = {
  karras: { use_karras_sigmas: true },
  k: { use_karras_sigmas: true },
  exponential: { use_exponential_sigmas: true },
  beta: { use_beta_sigmas: true },
  sgmuniform: { timestep_spacing: 'trailing' },
  trailing: { timestep_spacing: 'trailing' },
};

/** The names as people read them, for help texts and suggestions. */
export const UI_NAMES = [
  ...(['Euler', 'Euler a', 'Heun', 'LMS', 'LMS Karras', 'DPM++ 2M', 'DPM++ 2M Karras'] as const),
  ...(['DPM++ 2M SDE', 'DPM++ 2M SDE Karras', 'DPM++ 3M SDE', 'DPM++ 3M SDE Karras'] as const),
  ...(['DPM++ 2S', 'DPM++ 2S Karras', 'DPM2', 'DPM2 Karras', 'DPM2 a', 'DPM2 a Karras'] as const),
  ...(['DPM++ SDE', 'DPM++ SDE Karras'] as const),
  ...(['DDIM', 'PLMS', 'UniPC', 'LCM', 'DEIS', 'SA-Solver'] as const),
] as const;

/** The sampler that a name of a user interface means. */
export function findAlias(name: string): Sampler | undefined {
  // "k_" is k-diffusion's, "pp" stands for the pluses where they cannot be written.
  const letters = name
    .toLowerCase()
    .replace(/^(k|sample)_/, '')
    .replace(/[\s_-]/g, '')
    .replace(/^dpmpp/, 'dpm++');
  const whole = own(SAMPLERS, letters);
  if (whole) return whole;
  for (const [word, fields] of Object.entries(SPACINGS)) {
    const sampler = letters.endsWith(word) ? own(SAMPLERS, letters.slice(0, -word.length)) : undefined;
    if (sampler) return { ...sampler, fields: { ...sampler.fields, ...fields } };
  }
  return undefined;
}

function own<T>(table: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}
