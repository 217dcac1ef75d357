// Builds one of the executables that need no Node (native_tests, deepcache-bench) and runs it:
//
//   node scripts/run-native.mjs TARGET [ARGUMENT...]
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const [target, ...args] = process.argv.slice(2);

function run(command, args) {
  const { status, signal, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit' });
  if (error) console.error(`${command}: ${error.message}`);
  if (signal) console.error(`${command}: killed by ${signal}`);
  if (status !== 0) process.exit(status ?? 1);
}

run(process.execPath, [join(root, 'scripts', 'build-native.mjs'), '--target', target]);
run(join(root, '.cmake-build', 'bin', target), args);
