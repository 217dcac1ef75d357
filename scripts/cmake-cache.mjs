// A build folder remembers absolute paths and the tools it was made with; CMake refuses to go on without them: in a
// checkout that was copied or moved, in another container, after a compiler was replaced.
import { existsSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Removes the build folder when it was made for other sources than those in `root`, or by tools that are gone.
 * Returns the generator of one that can be used, which CMake must not be asked to change.
 */
export function checkCache(folder, root) {
  const file = join(folder, 'CMakeCache.txt');
  if (!existsSync(file)) return undefined;
  const cache = readFileSync(file, 'utf8');
  const value = (name) => new RegExp(`^${name}:\\w+=(.*)$`, 'm').exec(cache)?.[1] ?? '';
  const here = real(value('CMAKE_HOME_DIRECTORY')) === real(root);
  const own = real(value('CMAKE_CACHEFILE_DIR')) === real(folder);
  const tools = ['CMAKE_MAKE_PROGRAM', 'CMAKE_CXX_COMPILER', 'DEEPCACHE_ZIG']
    .map(value)
    .filter((path) => path.startsWith('/'));
  if (here && own && tools.every((path) => existsSync(path))) return value('CMAKE_GENERATOR') || undefined;
  console.log(`deepcache: ${folder} was made in another place or by other tools, building afresh`);
  rmSync(folder, { recursive: true });
  return undefined;
}

/** Undefined where there is nothing. */
function real(path) {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}
