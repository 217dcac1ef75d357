import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { invalidArgument } from '../errors.js';
import { unknownWords } from '../judge/index.js';
import { shorten } from '../messages.js';
import { demoFolder, meantFolder } from '../models/demo-model.js';
import { packageRoot } from '../package-root.js';

/** A note should stay a line. */
const MAX_WORDS = 8;
const DEMO_CARD = 'models/demo/README.md';
/** The side of the pictures that it was trained on. */
const DEMO_SIDE = 128;

/** What a run asks of its model. */
export interface Use {
  prompt?: readonly string[] | undefined;
  width?: number | undefined;
  height?: number | undefined;
  frames?: number | undefined;
}

/**
 * The model of commands that were not given one: the demo model of the package. `note` is for the user, about what it
 * cannot serve, too.
 */
export function modelFolder(given: string | undefined, use: Use = {}): { folder: string; note?: string } {
  const demo = demoFolder();
  const folder = given === undefined ? demo : meantFolder(given);
  if (demo !== undefined && folder !== undefined && resolve(folder) === demo) {
    const limits = demoLimits(use);
    const note = `the demo model ${limits.join('; it ')} (${DEMO_CARD} says what it knows)`;
    return { folder, ...(limits.length > 0 && { note }) };
  }
  if (given !== undefined) return { folder: given };
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

/** What the demo model has not learned and a run asks for. */
function demoLimits({ prompt = [], width = DEMO_SIDE, height = DEMO_SIDE, frames }: Use): string[] {
  const limits: string[] = [];
  const words = [...new Set(prompt.flatMap(unknownWords))];
  if (words.length > 0) {
    const list = words.slice(0, MAX_WORDS).map((word) => shorten(word, 30));
    if (words.length > MAX_WORDS) list.push('...');
    limits.push(`ignores what it does not know: ${list.join(', ')}`);
  }
  if (width !== DEMO_SIDE || height !== DEMO_SIDE) {
    limits.push(`was made for pictures of ${DEMO_SIDE}x${DEMO_SIDE}, others look odd`);
  }
  if (frames !== undefined) limits.push('has seen no motion');
  return limits;
}
