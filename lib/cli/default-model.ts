import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { invalidArgument } from '../errors.js';
import { packageRoot } from '../package-root.js';

/** The demo model's own: stronger guidance makes its colours heavy. */
const DEMO_OPTIONS = { steps: 25, guidanceScale: 2.5 };

/**
 * The model of commands that were not given one: the demo model of the package, with the options that suit it.
 * `note` is for the user.
 */
export function defaultModel(): { folder: string; options?: Partial<typeof DEMO_OPTIONS>; note?: string } {
  const demo = join(packageRoot(), 'models/demo');
  if (existsSync(join(demo, 'model_index.json'))) return { folder: demo, options: DEMO_OPTIONS };
  const tiny = join(packageRoot(), 'test/fixtures/sd15-tiny');
  if (existsSync(join(tiny, 'model_index.json'))) {
    return {
      folder: tiny,
      note: 'no --model given: this is a tiny model with random weights, for testing; its pictures mean nothing',
    };
  }
  throw invalidArgument(
    'model',
    'is missing: give --model and the folder of a model in the diffusers layout',
  );
}

/** Options on top of a model's own; a step count by its other name counts too. */
export function withModelOptions<T extends { numInferenceSteps?: number }>(
  own: Partial<typeof DEMO_OPTIONS> = {},
  options: T,
): T {
  const { steps: _, ...rest } = own;
  return { ...(options.numInferenceSteps === undefined ? own : rest), ...options };
}
