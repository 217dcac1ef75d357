import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { invalidArgument } from '../errors.js';
import { packageRoot } from '../package-root.js';

/** The model of commands that were not given one: the demo model of the package. `note` is for the user. */
export function modelFolder(given: string | undefined): { folder: string; note?: string } {
  if (given !== undefined) return { folder: given };
  const demo = join(packageRoot(), 'models/demo');
  if (existsSync(join(demo, 'model_index.json'))) return { folder: demo };
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
