import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** `~` as shells have it; a program that got the path from a file, a form or the environment has not. */
export function expandHome(path: string): string {
  if (!/^~(?=$|[\\/])/.test(path) || existsSync(path)) return path;
  return join(homedir(), path.slice(1));
}
