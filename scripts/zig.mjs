// The compiler of the binaries that are published. It comes with the C libraries of all targets, and with glibc's
// symbols of every version, so that one Linux machine builds what runs on old and foreign systems.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const folder = join(dirname(here), '.cmake-build-zig');
const modules = join(folder, 'node_modules', '@zigc');

/**
 * The environment that names the compiler: `DEEPCACHE_ZIG` as it is where it is set, else a copy from the npm registry,
 * which is fetched on first use (400 MB unpacked: too much for every `npm install`) and checked against the lock file.
 */
export function zigEnvironment() {
  if (process.env.DEEPCACHE_ZIG) return {};
  // Named in the lock file by itself, not through the package of all hosts: that one names packages that do not exist.
  const program = join(modules, 'linux-x64', 'bin', 'zig');
  if (!existsSync(program)) install();
  return { DEEPCACHE_ZIG: program, ZIG_LIB_DIR: join(modules, 'lib') };
}

function install() {
  mkdirSync(folder, { recursive: true });
  for (const name of ['package.json', 'package-lock.json'])
    copyFileSync(join(here, 'zig', name), join(folder, name));
  const options = ['--ignore-scripts', '--no-audit', '--no-fund'];
  const { status } = spawnSync('npm', ['ci', ...options], { cwd: folder, stdio: 'inherit' });
  if (status !== 0) throw new Error('the compiler could not be installed; DEEPCACHE_ZIG can name a Zig 0.16');
}
