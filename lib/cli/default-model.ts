import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { invalidArgument } from '../errors.js';
import { unknownWords } from '../judge/index.js';
import { demoFolder, meantFolder } from '../models/demo-model.js';
import { packageRoot } from '../package-root.js';

/** A note should stay a line. */
const MAX_WORDS = 8;
const DEMO_CARD = 'models/demo/README.md';

/**
 * The model of commands that were not given one: the demo model of the package. `note` is for the user, about what of
 * the prompts it will ignore, too.
 */
export function modelFolder(
  given: string | undefined,
  prompts: readonly string[] = [],
): { folder: string; note?: string } {
  const demo = demoFolder();
  if (given !== undefined && meantFolder(given) !== demo) return { folder: given };
  if (demo !== undefined) {
    const words = [...new Set(prompts.flatMap(unknownWords))];
    const list = words.slice(0, MAX_WORDS).join(', ') + (words.length > MAX_WORDS ? ', ...' : '');
    const note = `the demo model ignores what it does not know: ${list} (${DEMO_CARD} says what it knows)`;
    return { folder: demo, ...(words.length > 0 && { note }) };
  }
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
