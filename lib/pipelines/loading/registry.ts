import { DeepCacheError } from '../../errors.js';
import { shorten } from '../../messages.js';
import type { PipelineInfo } from './parts.js';

/** A pipeline class as the registry knows it. */
export interface PipelineClass<T = unknown> {
  readonly family: PipelineInfo;
  // biome-ignore lint/suspicious/noExplicitAny: pipelines differ in their parts
  new (components: any, log?: (message: string) => void): T;
}

const registry = new Map<string, PipelineClass>();

/** @internal Makes a class known to DiffusionPipeline.fromPretrained. */
export function registerPipeline(pipeline: PipelineClass): void {
  registry.set(pipeline.family.className, pipeline);
}

/** @internal The pipeline that diffusers has under this name. */
export function findPipeline(className: string): PipelineClass | undefined {
  return registry.get(className);
}

/** @internal The same of what a place holds. Throws ERR_DEEPCACHE_UNSUPPORTED when there is none. */
export function requirePipeline(className: string, place: string): PipelineClass {
  const pipeline = registry.get(className);
  if (pipeline) return pipeline;
  throw new DeepCacheError(
    'ERR_DEEPCACHE_UNSUPPORTED',
    `${place} is a ${shorten(className)}, which this version does not have; it has ${pipelineNames().join(', ')}. ` +
      'If its parts fit one of these, load it as one, such as StableDiffusionPipeline.fromPretrained(folder)',
  );
}

/** @internal The names of all pipelines. */
export function pipelineNames(): string[] {
  return [...registry.keys()];
}
