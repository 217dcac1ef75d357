import type { Log } from '../../log.js';
import type { DiffusionPipeline } from '../diffusion-pipeline.js';
import type { GenerationDefaults } from './generation-config.js';
import type { ModelIndex } from './model-index.js';
import type { LoadOptions, PipelineParts } from './parts.js';

/** A pipeline class as the registry knows it. */
export interface PipelineClass {
  /** diffusers' class name, as in model_index.json. */
  readonly className: string;
  /** Names of the parts that it works with. */
  readonly parts: readonly string[];
  /** Defaults of `generate` that belong to the class. */
  readonly recommended: GenerationDefaults;
  /** Loads the parts of a folder. */
  load(index: ModelIndex, options: LoadOptions): Promise<PipelineParts>;
  // biome-ignore lint/suspicious/noExplicitAny: pipelines differ in their options and parts
  new (components: any, log?: Log): DiffusionPipeline<any, any>;
}

const registry = new Map<string, PipelineClass>();

/** @internal Makes a class known to DiffusionPipeline.fromPretrained. */
export function registerPipeline(pipeline: PipelineClass): void {
  registry.set(pipeline.className, pipeline);
}

/** @internal The pipeline that diffusers has under this name. */
export function findPipeline(className: string): PipelineClass | undefined {
  return registry.get(className);
}

/** @internal The names of all pipelines. */
export function pipelineNames(): string[] {
  return [...registry.keys()];
}
