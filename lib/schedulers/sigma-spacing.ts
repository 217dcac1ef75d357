import { linspace } from '../math/numpy.js';
import { betaQuantile } from './beta-quantile.js';
import type { ConfigReader, SchedulerConfig } from './config.js';

/** How the noise levels of a run are spread between the highest and the lowest, instead of by timesteps. */
export type SigmaSpacing = 'karras' | 'exponential' | 'beta' | 'lu';

export const SIGMA_SPACING_DEFAULTS = {
  use_karras_sigmas: false,
  use_exponential_sigmas: false,
  use_beta_sigmas: false,
} satisfies SchedulerConfig;

/** The fields that ask for a spacing, in the order in which diffusers looks at them. */
const FIELDS = {
  use_karras_sigmas: 'karras',
  use_lu_lambdas: 'lu',
  use_exponential_sigmas: 'exponential',
  use_beta_sigmas: 'beta',
} as const;

/** Where the last step leads: to no noise at all, or to the lowest training sigma. */
export const FINAL_SIGMAS = ['zero', 'sigma_min'] as const;

/** Shape of the beta distribution, after "Beta Sampling is All You Need" (Lee et al. 2024). */
const BETA_SHAPE = 0.6;

/** The spacing that a configuration asks for, of those in the fields of its class. */
export function readSigmaSpacing(
  fields: ConfigReader,
  defaults: SchedulerConfig,
): { field: string; spacing: SigmaSpacing } | undefined {
  const set = Object.entries(FIELDS).filter(
    ([field]) => Object.hasOwn(defaults, field) && fields.flag(field),
  );
  // diffusers allows one of its spacings besides Lu's, which it added without this check.
  const [one, other] = set.filter(([, spacing]) => spacing !== 'lu');
  if (one && other) throw fields.error(other[0], `and ${one[0]} exclude each other`);
  return set[0] && { field: set[0][0], spacing: set[0][1] };
}

/** Fields of a configuration without the spacings that others, which are set on top of them, replace. */
export function withoutReplacedSpacing(config: SchedulerConfig, onTop: SchedulerConfig): SchedulerConfig {
  if (!Object.keys(FIELDS).some((field) => onTop[field] === true)) return config;
  return Object.fromEntries(Object.entries(config).filter(([field]) => !Object.hasOwn(FIELDS, field)));
}

/** `count` sigmas from high to low. */
export function spaceSigmas(spacing: SigmaSpacing, max: number, min: number, count: number): number[] {
  switch (spacing) {
    case 'karras':
      return karrasSigmas(max, min, count);
    // In lambda, which is -log sigma; diffusers holds the ends in single precision.
    case 'lu':
      return logSpace(Math.fround(Math.log(max)), Math.fround(Math.log(min)), count);
    case 'exponential':
      return logSpace(Math.log(max), Math.log(min), count);
    case 'beta':
      return linspace(0, 1, count).map(
        (ramp) => min + betaQuantile(1 - ramp, BETA_SHAPE, BETA_SHAPE) * (max - min),
      );
  }
}

/** Evenly spaced in sigma^(1/7) (Karras et al. 2022, equation 5). */
function karrasSigmas(max: number, min: number, count: number): number[] {
  const rho = 7;
  const high = max ** (1 / rho);
  const low = min ** (1 / rho);
  return linspace(0, 1, count).map((ramp) => (high + ramp * (low - high)) ** rho);
}

/** Evenly spaced in log sigma (Lu et al. 2022). */
function logSpace(maxLog: number, minLog: number, count: number): number[] {
  return linspace(0, 1, count).map((ramp) => Math.exp(maxLog + ramp * (minLog - maxLog)));
}
