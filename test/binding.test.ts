import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { native } from '../lib/native/binding.js';

const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
const PLATFORM = `${process.platform}-${process.arch}`;
const BUILT = resolve('build/Release/deepcache.node');

test('the addon loads, and is of the version of the package', () => {
  expect(native().version).toBe(version);
});

test('the path of a CUDA library is checked', () => {
  expect(() => native().setCudaLibrary(7 as unknown as string)).toThrow(/path/);
});

/** A package of its own with what loads the addon. */
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'deepcache-binding-'));
  put('package.json', JSON.stringify({ name: 'deepcache', type: 'module', version }));
  for (const file of [...readdirSync('lib').filter((name) => name.endsWith('.ts')), 'native'])
    cpSync(`lib/${file}`, join(folder, 'lib', file), { recursive: true });
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(resolve('node_modules/node-gyp-build'), join(folder, 'node_modules/node-gyp-build'));
  put(
    'main.ts',
    `import { native } from './lib/native/binding.js';
     const warnings = [];
     process.on('warning', ({ message, code }) => { if (code === 'DEEPCACHE_BINARY') warnings.push(message); });
     const print = (result) => setImmediate(() => console.log(JSON.stringify({ ...result, warnings })));
     try {
       const { version } = native();
       // Which file it is.
       print({ version, file: process.report.getReport().sharedObjects.find((file) => file.endsWith('.node')) });
     } catch ({ code, message }) { print({ code, message }); }`,
  );
});
afterEach(() => rmSync(folder, { recursive: true }));

function put(path: string, content: string): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), content);
}

function putBinary(path: string, source = BUILT): string {
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  copyFileSync(source, file);
  return file;
}

function putPlatformPackage(): string {
  const place = `node_modules/@deepcache/${PLATFORM}`;
  put(`${place}/package.json`, JSON.stringify({ name: `@deepcache/${PLATFORM}`, version }));
  return putBinary(`${place}/prebuilds/${PLATFORM}/deepcache.node`);
}

interface Loaded {
  version?: string;
  file?: string;
  code?: string;
  message?: string;
  warnings: string[];
}

/** What loading gives in another process, with a home of its own. */
function load(env: Record<string, string> = {}): Loaded {
  const tsx = pathToFileURL(resolve('node_modules/tsx/dist/loader.mjs')).href;
  const text = execFileSync(process.execPath, ['--no-warnings', '--import', tsx, 'main.ts'], {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, HOME: join(folder, 'home'), ...env },
  });
  return JSON.parse(text) as Loaded;
}

describe('without a binary', () => {
  test('an installed package says what is missing and what to do', () => {
    put(
      'package.json',
      JSON.stringify({
        name: 'deepcache',
        type: 'module',
        version,
        optionalDependencies: { [`@deepcache/${PLATFORM}`]: version },
      }),
    );
    const { code, message } = load();
    expect(code).toBe('ERR_DEEPCACHE_NO_BINARY');
    expect(message).toContain(`@deepcache/${PLATFORM} is not installed`);
    expect(message).toContain('npx deepcache build');
    expect(message).not.toContain('rebuild');
  });

  test('on a platform without a package it says so', () => {
    expect(load().message).toContain('no prebuilt one is published for it');
  });

  test('a checkout is to be built', () => {
    put('scripts/build-native.mjs', '');
    expect(load().message).toContain('nothing has been built yet. Run `npm run build`');
  });

  test('a broken one is reported with the reason of the system', () => {
    put('build/Release/deepcache.node', 'not a library');
    const { code, message } = load();
    expect(code).toBe('ERR_DEEPCACHE_NO_BINARY');
    expect(message).toMatch(/build\/Release\/deepcache\.node: /);
  });

  test('one of another version is refused, with both versions', () => {
    put('package.json', JSON.stringify({ name: 'deepcache', type: 'module', version: '99.1.2' }));
    const file = putBinary('build/Release/deepcache.node');
    const { code, message } = load();
    expect(code).toBe('ERR_DEEPCACHE_NO_BINARY');
    expect(message).toContain(`${file} is of deepcache ${version}, but the package is 99.1.2`);
  });

  test('one that was built before the sources changed is refused', () => {
    put('scripts/build-native.mjs', '');
    appendFileSync(join(folder, 'lib/native/types.ts'), '// changed since');
    const file = putBinary('build/Release/deepcache.node');
    const { code, message } = load();
    expect(code).toBe('ERR_DEEPCACHE_NO_BINARY');
    expect(message).toContain(
      `${file} was built from an older or newer state of these sources. Run \`npm run build\``,
    );
  });

  test('an addon of something else is refused', () => {
    const foreign = readdirSync('node_modules/@swc', { recursive: true }).find((f) =>
      String(f).endsWith('.node'),
    );
    putBinary('build/Release/deepcache.node', join('node_modules/@swc', String(foreign)));
    expect(load().message).toContain('deepcache.node is not a binary of deepcache');
  });
});

describe('which binary is loaded', () => {
  test('what was built here, before the package of the platform', () => {
    putPlatformPackage();
    const own = putBinary('build/Release/deepcache.node');
    expect(load()).toEqual({ version, file: own, warnings: [] });
  });

  test('else the one built into the home folder for this version', () => {
    putPlatformPackage();
    const file = putBinary(`home/.cache/deepcache/build/${version}-${PLATFORM}/deepcache.node`);
    putBinary(`home/.cache/deepcache/build/0.0.1-${PLATFORM}/deepcache.node`);
    expect(load()).toEqual({ version, file, warnings: [] });
  });

  test('else the package of the platform', () => {
    const file = putPlatformPackage();
    expect(load()).toEqual({ version, file, warnings: [] });
  });

  test('whatever the home folder is', () => {
    const own = putBinary('build/Release/deepcache.node');
    expect(load({ HOME: '/dev/null' })).toMatchObject({ version, file: own });
  });

  test('no file of another name, and none that a variable names', () => {
    const file = putPlatformPackage();
    putBinary('build/Release/a.node');
    putBinary('build/Debug/deepcache.node');
    putBinary('elsewhere/build/Release/deepcache.node');
    const DEEPCACHE_PREBUILD = join(folder, 'elsewhere');
    const env = {
      DEEPCACHE_PREBUILD,
      [`@DEEPCACHE/${PLATFORM.toUpperCase().replace('-', '_')}_PREBUILD`]: '',
    };
    expect(load(env)).toEqual({ version, file, warnings: [] });
    rmSync(file);
    putBinary(`node_modules/@deepcache/${PLATFORM}/build/Release/a.node`);
    expect(load(env).code).toBe('ERR_DEEPCACHE_NO_BINARY');
  });

  test('what is passed over is named in a warning', () => {
    put('build/Release/deepcache.node', 'not a library');
    const file = putPlatformPackage();
    const { warnings, ...result } = load();
    expect(result).toEqual({ version, file });
    expect(warnings).toEqual([
      expect.stringMatching(/build\/Release\/deepcache\.node: .*; loaded .*prebuilds.*instead$/),
    ]);
  });
});

describe('in a bundle', () => {
  test.each(['cjs', 'esm'])('the error says to leave deepcache out of it: %s', (format) => {
    const bundle = join(folder, `out.${format === 'cjs' ? 'cjs' : 'mjs'}`);
    // Apart from this package's own package.json, which a bundle does not have.
    put('package.json', JSON.stringify({ name: 'app', version: '1.0.0' }));
    execFileSync(resolve('node_modules/.bin/esbuild'), [
      join(folder, 'main.ts'),
      '--bundle',
      '--platform=node',
      `--format=${format}`,
      `--outfile=${bundle}`,
      '--log-level=error',
    ]);
    const { code, message } = JSON.parse(
      execFileSync(process.execPath, [bundle], { encoding: 'utf8' }),
    ) as Loaded;
    expect(code).toBe('ERR_DEEPCACHE_NO_BINARY');
    expect(message).toContain('mark deepcache as external (esbuild --external:deepcache');
  });
});
