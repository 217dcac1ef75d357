import { execFile } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { runCli } from './cli-run.js';

// An installed package whose cmake is a script: `npm run release:check -- --source` builds a real one.

const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
const BUILT = resolve('build/Release/deepcache.node');
const CMAKE = `#!/bin/sh
case "$1" in
  -S)
    echo "$@" > "$0.configured"
    for argument; do
      case "$argument" in -DDEEPCACHE_OUT=*) echo "\${argument#*=}" > "$0.out" ;; esac
    done ;;
  --build) read out < "$0.out"; mkdir -p "$out" && cp "$BUILT" "$out/deepcache.node" && echo "objects compiled" ;;
esac
`;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'deepcache-build-command-'));
  put('package.json', JSON.stringify({ name: 'deepcache', type: 'module', version }));
  for (const file of [...readdirSync('lib').filter((name) => name.endsWith('.ts')), 'native'])
    cpSync(`lib/${file}`, join(folder, 'lib', file), { recursive: true });
  put(
    'main.ts',
    `import { buildFromSource } from './lib/native/build.js';
     const options = JSON.parse(process.argv[2]);
     const result = await buildFromSource(options).catch(({ code, message }) => ({ code, message }));
     console.log(JSON.stringify(result));`,
  );
  put('bin/cmake', CMAKE);
  chmodSync(join(folder, 'bin/cmake'), 0o755);
});
afterEach(() => rmSync(folder, { recursive: true }));

function put(path: string, content: string): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), content);
}

/** What the build gives: the folder, or an error. */
async function build(options: object = {}, env: Record<string, string> = {}) {
  const tsx = pathToFileURL(resolve('node_modules/tsx/dist/loader.mjs')).href;
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--no-warnings', '--import', tsx, 'main.ts', JSON.stringify(options)],
    {
      cwd: folder,
      env: {
        ...process.env,
        PATH: `${join(folder, 'bin')}:${process.env.PATH}`,
        HOME: join(folder, 'home'),
        TMPDIR: folder,
        BUILT,
        ...env,
      },
    },
  );
  return JSON.parse(stdout);
}

const leftovers = () => readdirSync(folder).filter((name) => name.startsWith('deepcache-build-'));

test('the result goes into the package, where it is loaded from; nothing else is left', async () => {
  put('build/Release/libdeepcache_cuda.so', 'of an earlier build with CUDA');
  expect(await build({ jobs: 3 })).toBe(join(folder, 'build/Release'));
  expect(readdirSync(join(folder, 'build/Release'))).toEqual(['deepcache.node']);
  const configured = readFileSync(join(folder, 'bin/cmake.configured'), 'utf8');
  expect(configured).toContain(`-S ${folder} `);
  expect(configured).toContain(`-DCMAKE_JS_INC=${folder}/native/node-api`);
  expect(configured).toContain('-DDEEPCACHE_CUDA=OFF');
  expect(leftovers()).toEqual([]);
});

test('CUDA is asked of CMake', async () => {
  await build({ cuda: true });
  expect(readFileSync(join(folder, 'bin/cmake.configured'), 'utf8')).toContain('-DDEEPCACHE_CUDA=ON');
});

test('a file that a process has loaded is replaced, not overwritten', async () => {
  const file = join(folder, 'build/Release/deepcache.node');
  put('build/Release/deepcache.node', 'of an earlier build');
  const before = statSync(file).ino;
  await build();
  expect(statSync(file).ino).not.toBe(before);
});

test('where the package cannot be written, it goes into the home folder', async () => {
  put('build', 'a file where the folder should be');
  const place = join(folder, 'home/.cache/deepcache/build', `${version}-${process.platform}-${process.arch}`);
  expect(await build()).toBe(place);
  expect(existsSync(join(place, 'deepcache.node'))).toBe(true);
});

test.each([
  ['what was built does not load', { BUILT: resolve('package.json') }, 'what was built does not load'],
  ['the build fails', { BUILT: '/no/such/file' }, 'the output of CMake or the compiler is above'],
  ['there is no cmake', { PATH: '/no/such/folder' }, 'apt-get install cmake g++ make'],
])('%s: an error with a code, and nothing is put in place', async (_, env, message) => {
  expect(await build({}, env)).toEqual({
    code: 'ERR_DEEPCACHE_NO_BINARY',
    message: expect.stringContaining(message),
  });
  expect(existsSync(join(folder, 'build/Release/deepcache.node'))).toBe(false);
  expect(leftovers()).toEqual([]);
});

test('the command is there', async () => {
  const { code, out } = await runCli(['build', '--help']);
  expect(code).toBe(0);
  expect(out).toContain('--cuda');
  expect((await runCli(['build', '--jobs', '0'])).code).toBe(2);
});
