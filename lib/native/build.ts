import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { access, constants, copyFile, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { DeepCacheError, messageOf } from '../errors.js';
import { packageFile, packageRoot } from '../package-root.js';
import { BINARY, homeBuild, ownBuild } from './binaries.js';

export interface BuildOptions {
  /** The CUDA library too. */
  cuda?: boolean;
  /** Compilers at once; default: one for each core. */
  jobs?: number;
  signal?: AbortSignal;
}

/**
 * Compiles the package's own sources and puts the result where it is loaded from; returns that folder.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_NO_BINARY saying what is missing.
 */
export async function buildFromSource({ cuda, jobs, signal }: BuildOptions = {}): Promise<string> {
  await requireCmake();
  const parallel = String(jobs ?? availableParallelism());
  const root = packageRoot();
  const checkout = join(root, 'scripts/build-native.mjs');
  if (existsSync(checkout)) {
    // With cmake-js, and keeping the objects.
    await run(process.execPath, [checkout], signal, {
      DEEPCACHE_CUDA: cuda ? 'ON' : 'OFF',
      CMAKE_BUILD_PARALLEL_LEVEL: parallel,
    });
    return ownBuild();
  }
  const target = await writableFolder();
  const scratch = await mkdtemp(join(tmpdir(), 'deepcache-build-'));
  try {
    const [objects, out] = [join(scratch, 'objects'), join(scratch, 'out')];
    await run('cmake', ['-S', root, '-B', objects, ...settings(root, objects, out, cuda === true)], signal);
    await run('cmake', ['--build', objects, '--config', 'Release', '--parallel', parallel], signal);
    await check(join(out, BINARY));
    await replace(out, target);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  return target;
}

/** What cmake-js passes in a checkout; here the headers come with the package, see scripts/release/stage.mjs. */
function settings(root: string, objects: string, out: string, cuda: boolean): string[] {
  const api = join(root, 'native/node-api');
  const values: Record<string, string> = {
    CMAKE_BUILD_TYPE: 'Release',
    CMAKE_JS_INC: api,
    DEEPCACHE_OUT: out,
    DEEPCACHE_CUDA: cuda ? 'ON' : 'OFF',
  };
  if (process.platform === 'win32') {
    values.CMAKE_JS_SRC = join(api, 'win_delay_load_hook.cc');
    values.CMAKE_JS_NODELIB_DEF = join(api, 'node_api.def');
    values.CMAKE_JS_NODELIB_TARGET = values.CMAKE_JS_LIB = join(objects, 'node.lib');
  }
  return Object.entries(values).map(([name, value]) => `-D${name}=${value}`);
}

function failed(message: string, options?: ErrorOptions): DeepCacheError {
  return new DeepCacheError('ERR_DEEPCACHE_NO_BINARY', message, options);
}

async function requireCmake(): Promise<void> {
  try {
    await promisify(execFile)('cmake', ['--version']);
  } catch (cause) {
    throw failed(
      'building from source needs CMake 3.18 or newer, make or ninja, and a C++20 compiler; cmake is not on PATH ' +
        '(Debian, Ubuntu: apt-get install cmake g++ make; macOS: brew install cmake)',
      { cause },
    );
  }
}

/** The package's own folder, else the home folder's. */
async function writableFolder(): Promise<string> {
  const tried: string[] = [];
  for (const folder of [ownBuild(), homeBuild()]) {
    if (folder === undefined) continue;
    try {
      // Permissions of the owner's own: a cache in the home folder that others could write would not be loaded.
      await mkdir(folder, { recursive: true, mode: folder === ownBuild() ? 0o777 : 0o700 });
      await access(folder, constants.W_OK);
      return folder;
    } catch (error) {
      tried.push(messageOf(error));
    }
  }
  throw failed(`there is no folder for the binary: ${tried.join('; ')}`);
}

/** Its output goes to standard error as it comes. */
function run(
  command: string,
  args: string[],
  signal: AbortSignal | undefined,
  env: Record<string, string> = {},
): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      stdio: ['ignore', 2, 2],
      env: { ...process.env, ...env },
      ...(signal && { signal }),
    });
    child.on('error', reject);
    child.on('close', (status) => {
      if (status === 0) resolve();
      else reject(failed('the build failed; the output of CMake or the compiler is above'));
    });
  });
}

/** In another process: what crashes or belongs to another Node.js must not be put in place. */
async function check(file: string): Promise<void> {
  const code = 'process.stdout.write(require(process.argv[1]).version)';
  const { version } = packageFile();
  try {
    const { stdout } = await promisify(execFile)(process.execPath, ['--eval', code, file]);
    if (stdout !== version) throw new Error(`it is of version ${stdout}, not ${version}`);
  } catch (cause) {
    throw failed(`what was built does not load: ${messageOf(cause)}`, { cause });
  }
}

/** By renaming: a process that runs the old files keeps them. Old files that were not built anew go. */
async function replace(from: string, to: string): Promise<void> {
  const built = await readdir(from);
  for (const name of built) {
    const beside = join(to, `.${name}.${process.pid}`);
    await copyFile(join(from, name), beside);
    await rename(beside, join(to, name));
  }
  for (const name of await readdir(to))
    if (/^(lib)?deepcache_cuda\./.test(name) && !built.includes(name)) await rm(join(to, name));
}
