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

/** @internal The names of all pipelines. */
export function pipelineNames(): string[] {
  return [...registry.keys()];
}
