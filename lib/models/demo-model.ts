import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../package-root.js';

/** What the package's own model is called where a folder is asked for. */
export const DEMO = 'demo';

/** The folder of the package's own model; undefined in a checkout without it. */
export function demoFolder(): string | undefined {
  const folder = join(packageRoot(), 'models/demo');
  return existsSync(join(folder, 'model_index.json')) ? folder : undefined;
}

/** The folder that a caller means: `'demo'` is the package's own model, unless there is a folder of this name. */
export function meantFolder(folder: string): string {
  return folder === DEMO && !existsSync(DEMO) ? (demoFolder() ?? folder) : folder;
}
