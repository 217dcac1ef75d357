// Commands of the documents: they run as they stand, or with less to do.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What stands for the reader's own: folders and files of the scratch project. */
const PLACEHOLDERS = [
  [/\bSDXL_REFINER\b/g, 'models/sdxl-refiner'],
  [/\bSDXL\b/g, 'models/sdxl'],
  [/-o DIR\b/g, '-o models/made'],
  [/\b(DIR|FOLDER)\b/g, 'models/stable-diffusion-v1-5'],
  [/-o OUT\b/g, '-o models/converted'],
  [/"…"/g, '"a red house"'],
];

/** The same commands with less to do, where they would take minutes. */
const LIGHTER = [
  [/^npx deepcache generate .*/, '$& --steps 4'],
  [/^npx deepcache compare .*/, '$& --steps 10'],
  [
    /^npx deepcache quality (?!--model|--policies)(.*)/,
    'npx deepcache quality $1 --captions 1 --steps 10 --repeats 1',
  ],
  [/^npx deepcache quality --policies .*/, '$& --captions 1 --steps 10'],
  [/^npx deepcache quality --model (\S+)$/, '$& --prompt "a dog" -c fast'],
  [/^npx deepcache (quality|tune) --model .*/, '$& --steps 10'],
  [/^npx deepcache tune (?!--model).*/, '$& --captions 1 --steps 10'],
  [/^npx deepcache tune --model (?!.*--prompts).*/, '$& --prompt "a dog"'],
  [/^npx deepcache tune .*/, '$& --max-runs 12'],
  [/^(npx weights-tools synth) --model \S+(.*)/, '$1 --small$2'],
];

/** Those that are steps of `.ci/run` of their own, change the checkout, go on until they are stopped, or need what a
 * test machine lacks. */
const ELSEWHERE =
  /^(npm (install|test|run (lint|check:|docs:|format|build|test:|conformance|bench|release))|sudo |scripts\/test-sanitized|bench\/gpu|hf |npx tsx bench\/|node scripts\/(kernel|build-platform)|npx deepcache build|redis-server |npx deepcache (?:mcp|serve|worker)\b(?! --make-key)|curl )/;

export const isElsewhere = (text) => ELSEWHERE.test(text);

const CHECKOUT = /^npm run ([\w:]+)|^node (\S+)|^(scripts\/\S+|bench\/\S+)|^npx tsx (\S+)/;

/** What a command of the checkout names that is not there; those that run elsewhere are held to that at least. */
export function missingParts(root, text) {
  const [, script, ...files] = CHECKOUT.exec(text) ?? [];
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  if (script && !scripts[script]) return `package.json has no script ${script}`;
  const missing = files.filter((file) => file && !existsSync(join(root, file)));
  return missing.length > 0 ? `${missing.join(' and ')} does not exist` : undefined;
}

/** The command with the scratch project's files, and less to do. */
export function prepared(text) {
  const filled = PLACEHOLDERS.reduce((all, [pattern, value]) => all.replace(pattern, value), text);
  return LIGHTER.reduce((all, [pattern, value]) => all.replace(pattern, value), filled);
}

/** Undefined when it runs in the scratch project, else what it said. */
export function run(folder, command) {
  const { status, stdout, stderr } = spawnSync('bash', ['-c', command], { cwd: folder, encoding: 'utf8' });
  return status === 0 ? undefined : `${command}\nends with ${status}\n${stdout}${stderr}`;
}
