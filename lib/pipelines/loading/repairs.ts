import { explicitFields, type SchedulerConfig, show, TRAINING_DEFAULTS } from '../../schedulers/config.js';
import { findScheduler } from '../../schedulers/registry.js';
import { isOlder } from '../../schedulers/versions.js';

// diffusers' Stable Diffusion pipelines correct configurations that its early versions wrote (their constructors, in
// every version until v0.40). Others do not.

type Config = Readonly<Record<string, unknown>>;

/** What a pipeline's schedulers must have; a value is corrected where `wrong` finds it to be another. */
interface Repair {
  field: string;
  right: unknown;
  wrong: (value: unknown) => boolean;
}

const STEPS_OFFSET: Repair = { field: 'steps_offset', right: 1, wrong: (value) => value !== 1 };
const CLIP_SAMPLE: Repair = { field: 'clip_sample', right: false, wrong: (value) => value === true };
const SKIP_PRK: Repair = { field: 'skip_prk_steps', right: true, wrong: (value) => value === false };

/** diffusers' name of the pipeline that enlarges pictures. */
export const UPSCALER = 'StableDiffusionUpscalePipeline';
/** Of the upscaler's autoencoder, whatever its file says. */
const UPSCALER_FACTOR = 0.08333;

const REPAIRS: Readonly<Record<string, readonly Repair[]>> = {
  StableDiffusionPipeline: [STEPS_OFFSET, CLIP_SAMPLE],
  StableDiffusionImg2ImgPipeline: [STEPS_OFFSET, CLIP_SAMPLE],
  StableDiffusionInpaintPipeline: [STEPS_OFFSET, SKIP_PRK],
  StableDiffusionDepth2ImgPipeline: [],
};

/** Latent pixels that Stable Diffusion 1 was trained on. */
const SAMPLE_SIZE = 64;

/** Fields of a scheduler's configuration that a pipeline corrects, with their right values. */
export function schedulerRepairs(pipeline: string, config: SchedulerConfig): SchedulerConfig {
  const defaults = findScheduler(config._class_name)?.scheduler.defaults ?? TRAINING_DEFAULTS;
  const fields: Config = { ...defaults, ...explicitFields(config) };
  const wrong = repairsOf(pipeline).filter(
    (repair) => fields[repair.field] !== undefined && repair.wrong(fields[repair.field]),
  );
  return Object.fromEntries(wrong.map(({ field, right }) => [field, right]));
}

/** The same for the configuration of a U-Net. */
export function unetRepairs(pipeline: string, config: Config): Config {
  const { sample_size: size } = config;
  const isSmall = Number.isInteger(size) && (size as number) > 0 && (size as number) < SAMPLE_SIZE;
  const isOld = isOlder(config._diffusers_version, [0, 9]);
  return Object.hasOwn(REPAIRS, pipeline) && isOld && isSmall ? { sample_size: SAMPLE_SIZE } : {};
}

/** The same for the configuration of an autoencoder. */
export function vaeRepairs(pipeline: string, { scaling_factor: factor }: Config): Config {
  return pipeline === UPSCALER && factor !== UPSCALER_FACTOR ? { scaling_factor: UPSCALER_FACTOR } : {};
}

/** What to say about the repairs of a file. */
export function repairTexts(config: Config, repairs: Config): string[] {
  return Object.entries(repairs).map(([field, right]) => {
    const value = config[field];
    const said = value === undefined ? 'is missing' : `is ${show(value)}`;
    return `"${field}" ${said}, taken as ${JSON.stringify(right)}, as diffusers corrects its early files`;
  });
}

function repairsOf(pipeline: string): readonly Repair[] {
  return Object.hasOwn(REPAIRS, pipeline) ? (REPAIRS[pipeline] as readonly Repair[]) : [];
}
