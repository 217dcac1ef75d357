// Installs the packed release as a stranger would: into an empty project, with an empty home folder and neither a
// compiler nor CMake on PATH, and makes a picture on the command line and from code.
//
//   node scripts/release/check.mjs [--quick] [--source] [--emulated] [--record] [FILTER...]
//
// With Node.js 20, 22, 24 and 26 and every package manager, or where a FILTER is part of the combination's name ("node 22, pnpm").
// --quick: with the Node.js and npm that run this. --source: with these, or the chosen ones, what `npx deepcache build`
// makes instead of the platform's package; needs CMake and a compiler. --emulated: what is packed
// for linux-arm64 and win32-x64, under QEMU and Wine on Linux x64; with --quick its pictures are compared with this platform's.
// --record: writes the results into docs/install.md.
// Packs what is in prebuilds/. Ends with "N passed, N failed".
import { spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { emulated, emulatedCombinations } from './emulators.mjs';
import { currentNpm, MANAGERS, nodeOf, tool } from './managers.mjs';
import { packAll } from './pack.mjs';
import { readTable, writeTable } from './page.mjs';
import { serve } from './registry.mjs';

const { values, positionals: filters } = parseArgs({
  options: {
    quick: { type: 'boolean' },
    source: { type: 'boolean' },
    emulated: { type: 'boolean' },
    record: { type: 'boolean' },
  },
  allowPositionals: true,
});

const MAJORS = [20, 22, 24, 26];
const PROMPT = 'a red barn under a blue sky';
/** What package managers' launchers call; no compiler, no make, no cmake, no python. */
const COMMANDS = ['sh', 'env', 'dirname', 'basename', 'sed', 'uname', 'readlink', 'cat', 'ls'];
/** How this machine reaches the registry. */
const NETWORK = /^(NODE_EXTRA_CA_CERTS|SSL_CERT_FILE|SSL_CERT_DIR|https?_proxy|no_proxy)$/i;
/** Never on a user's machine. */
const UNWANTED = ['cmake-js', 'node-addon-api', 'prebuildify'];
/** For one command; a build from source on a busy machine takes the longest. */
const LIMIT_SECONDS = 1800;

/** Prints as JSON what it has made, and from which file the addon was loaded. */
const SCRIPT = `
import { DiffusionPipeline } from 'deepcache';
const pipe = await DiffusionPipeline.fromPretrained('demo');
const { images } = await pipe.generate({ prompt: '${PROMPT}', steps: 4, seed: 1 });
await images[0].save('code.png');
const addon = process.report.getReport().sharedObjects.find((file) => file.endsWith('deepcache.node'));
console.log(JSON.stringify({ addon, pixels: Buffer.from(images[0].data).toString('base64') }));
await pipe.dispose();
`;

/** `other`: made by another compiler or for another processor, so that the picture may be rounded otherwise. */
function combinations() {
  const fromSource = (one) => ({ ...one, name: `${one.name}, from source`, source: true, other: true });
  const here = { name: `node ${process.versions.node}, npm here`, manager: 'npm here' };
  const all = MAJORS.flatMap((major) =>
    Object.entries(MANAGERS)
      .filter(([manager, { without = [] }]) => manager !== 'npm here' && !without.includes(major))
      .map(([manager]) => ({ name: `node ${major}, ${manager}`, manager, major })),
  );
  if (filters.length > 0) {
    const chosen = all.filter(({ name }) => filters.some((part) => name.includes(part)));
    return values.source ? chosen.map(fromSource) : chosen;
  }
  if (!values.quick && !values.source && !values.emulated) return all;
  return [
    ...(values.quick ? [here] : []),
    ...(values.source ? [fromSource(here)] : []),
    ...(values.emulated ? emulatedCombinations(packages) : []),
  ];
}

/** Runs a command in the project; resolves with its standard output. */
function run([command, ...args], cwd, env) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let [out, all] = ['', ''];
    child.stdout.on('data', (text) => {
      out += text;
      all += text;
    });
    child.stderr.on('data', (text) => {
      all += text;
    });
    const timer = setTimeout(() => child.kill('SIGKILL'), LIMIT_SECONDS * 1000);
    child.on('error', reject);
    child.on('close', (status, signal) => {
      clearTimeout(timer);
      if (status === 0) resolve(out);
      else
        reject(new Error(`${[command, ...args].join(' ')}: ${signal ?? `status ${status}`}\n${all.trim()}`));
    });
  });
}

/** An environment with a home and a PATH of its own: these commands and node, nothing else of the system. */
function emptyEnvironment(scratch, node) {
  const network = Object.fromEntries(Object.entries(process.env).filter(([name]) => NETWORK.test(name)));
  const home = join(scratch, 'home');
  mkdirSync(home);
  if (process.platform === 'win32') {
    const { SystemRoot, ComSpec, PATHEXT } = process.env;
    const PATH = `${dirname(node)};${SystemRoot}\\System32`;
    const folders = { USERPROFILE: home, APPDATA: home, LOCALAPPDATA: home, TEMP: scratch };
    return { ...network, SystemRoot, ComSpec, PATHEXT, PATH, ...folders };
  }
  const folder = join(scratch, 'bin');
  mkdirSync(folder);
  symlinkSync(node, join(folder, 'node'));
  for (const command of COMMANDS) {
    const found = process.env.PATH.split(delimiter)
      .map((place) => join(place, command))
      .find((file) => existsSync(file));
    if (found) symlinkSync(found, join(folder, command));
  }
  return { ...network, HOME: home, PATH: folder, TMPDIR: scratch, LANG: 'C.UTF-8' };
}

/** The registry of this machine and the certificates that it needs. */
async function readNpmSettings() {
  const npm = [process.execPath, join(currentNpm(), 'bin/npm-cli.js')];
  const get = (name) => run([...npm, 'config', 'get', name], tmpdir(), process.env);
  const values = { registry: (await get('registry')).trim(), cafile: (await get('cafile')).trim() };
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== 'null'));
}

function installedFolders(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true })
    .map((path) => String(path).replaceAll('\\', '/'))
    .filter((path) => path.endsWith('/package.json'));
}

async function check({ manager, major, source, emulated: platform }, tarball, scope, npmSettings) {
  const scratch = mkdtempSync(join(tmpdir(), 'release-check-'));
  try {
    const node = nodeOf(major);
    const made = MANAGERS[manager].make();
    const { install, run: program, script, files } = platform ? emulated(platform, made, tool) : made;
    const project = join(scratch, 'project');
    mkdirSync(project);
    const settings = {
      'package.json': '{ "name": "app", "version": "1.0.0", "private": true, "type": "module" }\n',
      '.npmrc': `${Object.entries({ ...npmSettings, '@deepcache:registry': scope })
        .map((pair) => `${pair.join('=')}\n`)
        .join('')}`,
      'picture.mjs': SCRIPT,
      ...files?.({ ...npmSettings, scope }),
    };
    for (const [name, text] of Object.entries(settings)) writeFileSync(join(project, name), text);
    const env = emptyEnvironment(scratch, node);
    const began = performance.now();
    await run(install(node, tarball), project, env);
    const seconds = (performance.now() - began) / 1000;

    const unwanted = installedFolders(join(project, 'node_modules')).filter((path) =>
      UNWANTED.some((name) => path.endsWith(`/${name}/package.json`) || path === `${name}/package.json`),
    );
    if (unwanted.length > 0) throw new Error(`installed too: ${unwanted.join(', ')}`);
    if (source) {
      rmSync(join(project, 'node_modules/@deepcache'), { recursive: true, force: true });
      await run([...program(node), 'build'], project, {
        ...env,
        PATH: env.PATH + delimiter + process.env.PATH,
      });
    }
    const options = ['generate', '--prompt', PROMPT, '--steps', '4', '--seed', '1', '-o', 'cli.png'];
    await run([...program(node), ...options], project, env);
    const printed = await run([...script(node), 'picture.mjs'], project, env);
    const result = JSON.parse(printed.trim().split('\n').at(-1));
    for (const file of ['cli.png', 'code.png']) {
      const bytes = readFileSync(join(project, file));
      if (bytes.length < 1000 || bytes.toString('latin1', 1, 4) !== 'PNG')
        throw new Error(`${file} is no picture`);
    }
    const place = source ? 'deepcache/build/Release' : 'prebuilds';
    if (!result.addon.replaceAll('\\', '/').includes(`/${place}/`)) throw new Error(`loaded ${result.addon}`);
    return { seconds, pixels: Buffer.from(result.pixels, 'base64') };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** How many values of two pictures differ, and by how much at most. */
function difference(left, right) {
  if (left.length !== right.length) return { count: left.length, most: 255 };
  let [count, most] = [0, 0];
  for (let i = 0; i < left.length; i++) {
    const apart = Math.abs(left[i] - right[i]);
    if (apart > 0) count++;
    most = Math.max(most, apart);
  }
  return { count, most };
}

/** Managers down, versions of Node.js across; what did not run now stays as it was. */
function record(results) {
  const rows = new Map(readTable('matrix').map((cells) => [cells[0], cells]));
  for (const { manager, major, text } of results) {
    const cells = rows.get(manager) ?? [manager, '–', '–', '–'];
    cells[MAJORS.indexOf(major) + 1] = text;
    rows.set(manager, cells);
  }
  writeTable('matrix', ['', ...MAJORS.map((major) => `Node.js ${major}`)], [...rows.values()]);
}

const packages = packAll();
if (packages.length === 1)
  throw new Error('there are no binaries in prebuilds/: node scripts/build-platform.mjs');
const npmSettings = await readNpmSettings();
const { url, close } = await serve(packages.slice(1));
const counts = { ok: 0, FAIL: 0 };
const results = [];
let pixels;
for (const one of combinations()) {
  let line;
  try {
    const result = await check(one, packages[0].file, url, npmSettings);
    pixels ??= result.pixels;
    const { count, most } = difference(result.pixels, pixels);
    if (count > 0 && (!one.other || most > 1))
      throw new Error(`${count} values of the picture differ, by ${most} at most`);
    counts.ok++;
    results.push({ ...one, text: `ok, ${result.seconds.toFixed(1)} s` });
    line = `ok    ${one.name.padEnd(32)} installed in ${result.seconds.toFixed(1)} s`;
    if (one.other && result.pixels !== pixels)
      line += `; ${count} of ${pixels.length} values differ by ${most}`;
  } catch (error) {
    counts.FAIL++;
    results.push({ ...one, text: 'fails' });
    line = `FAIL  ${one.name}: ${error.message}`;
  }
  console.log(line);
}
close();
if (values.record) record(results.filter(({ major, source }) => major !== undefined && !source));
console.log(`${counts.ok} passed, ${counts.FAIL} failed`);
process.exit(counts.FAIL > 0 ? 1 : 0);
