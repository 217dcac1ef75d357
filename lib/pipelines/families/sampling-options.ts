import type { OptionsOf } from '../../options/spec/index.js';

/** What pipelines without prompts take. Names are diffusers', in camelCase. */
export type SamplingOptions = Pick<OptionsOf<'ddpm'>, keyof OptionsOf<'ddpm'> & keyof OptionsOf<'ldm'>>;
