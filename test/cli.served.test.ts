import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createProgram } from '../lib/cli/program.js';
import { runCli } from './cli-run.js';
import { FOLDER } from './pipelines/tiny.js';

// What is wrong with an option of `serve` or `worker` is said before anything listens or connects, under the name that it has there.

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'deepcache-served-'));
  writeFileSync(join(folder, 'keys.json'), '[{"name": "ann", "hash": "no hash"}]');
  writeFileSync(join(folder, 'file.pem'), 'no PEM');
  const models = (name: string, value: object) => writeFileSync(join(folder, name), JSON.stringify(value));
  models('typo.json', { b: { model: FOLDER, dtyp: 'fp32' } });
  models('same.json', { a: FOLDER });
  models('branch.json', { b: { model: FOLDER, defaults: { cache: { interval: 3, branch: 99 } } } });
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Nobody is there; none of these gets so far. */
const QUEUE = ['--queue', 'redis://127.0.0.1:1'];

/** Of an option: what is wrong, with FOLDER for the folder above, and the words about it. */
type Wrong = readonly [args: readonly string[], words: RegExp];

const NETWORKS: Readonly<Record<string, readonly Wrong[]>> = {
  '--lora': [
    [['--lora', 'ink'], /^--lora must be NAME=PLACE/],
    [['--lora', 'ink=FOLDER/none'], /^--lora "ink" cannot be used: \S+none/],
  ],
  '--control-net': [[['--control-net', 'a=FOLDER/none'], /^--control-net "a" cannot be used: \S+none/]],
  '--t2i-adapter': [[['--t2i-adapter', 'a=FOLDER/none'], /^--t2i-adapter "a" cannot be used: \S+none/]],
  '--ip-adapter': [[['--ip-adapter', 'a=FOLDER/none'], /^--ip-adapter "a" cannot be used: \S+none/]],
  '--image-encoder': [
    [['--image-encoder', 'x'], /^--image-encoder is for .*give --ip-adapter too/],
    [['--ip-adapter', 'a=FOLDER', '--image-encoder', 'FOLDER/none'], /^--ip-adapter "a" .*none is not there/],
  ],
  '--upscaler': [[['--upscaler', 'a=FOLDER/none'], /^--upscaler "a" cannot be used: \S+none/]],
  '--embedding': [[['--embedding', 'a=FOLDER/none'], /^--embedding "a" cannot be used: \S+none/]],
};

const MODELS: Readonly<Record<string, readonly Wrong[]>> = {
  '--model': [
    [['--model', 'sd15'], /^--model must be NAME=PLACE/],
    [['--model', 'a=x', '--model', 'a=y'], /^--model has two called a/],
    [['--model', 'a=FOLDER/none'], /^--model a: \S+none: does not exist/],
  ],
  '--models': [
    [['--models', 'FOLDER/none'], /^--models cannot be read: .*none/],
    [['--models', 'FOLDER/file.pem'], /^--models cannot be read: .*file.pem/],
    [
      ['--models', 'FOLDER/typo.json'],
      /^--models \S+typo.json: b: dtyp is not an option; did you mean dtype\?/,
    ],
    [['--model', 'a=x', '--models', 'FOLDER/same.json'], /^--models has two called a/],
    [['--models', 'FOLDER/branch.json'], /^--model b: defaults: cache.branch must be/],
  ],
  ...{ '--preview-vae': [], '--autotune': [], '--offline': [], '--unload-text-encoder': [] },
  ...{ '--models-dir': [], '--cache-dir': [], '--long-prompts': [], '--prompt-weighting': [] },
  '--device': [
    [['--device', 'tpu'], /^--device must be 'auto'/],
    [['--device', 'cpu', '--device', 'tpu'], /^--device must be 'auto'/],
  ],
  '--max-loaded': [[['--max-loaded', '0'], /^option '--max-loaded <n>' argument '0' is invalid/]],
  '--dtype': [[['--dtype', 'fp12'], /^option '--dtype <type>' argument 'fp12' is invalid/]],
  '--variant': [[['--variant', '../x'], /^--variant must be/]],
  '--vae': [[['--vae', 'FOLDER/none'], /none/]],
  '--scheduler': [[['--scheduler', 'Eulr'], /^--scheduler .*Eulr/]],
  '--steps': [[['--steps', '0'], /^--steps must be/]],
  '--guidance-scale': [[['--guidance-scale', '-1'], /^--guidance-scale must be/]],
  '--guidance-rescale': [[['--guidance-rescale', '2'], /^--guidance-rescale must be/]],
  '--negative-prompt': [],
  '--clip-skip': [[['--clip-skip', '-1'], /^--clip-skip must be/]],
  '--cache': [
    [['--cache', 'fats'], /^option '-c, --cache <settings>' argument 'fats' is invalid/],
    [['--cache', 'interval=3,branch=99'], /^--model tiny: defaults: cache.branch must be/],
  ],
  '--vae-tiling': [[['--vae-tiling', '7'], /^--vae-tiling: tileSize must be/]],
  '--threads': [
    [['--threads', 'x'], /^option '--threads <n>' argument 'x' is invalid/],
    [['--threads', '5000'], /^--threads must be a whole number from 0/],
  ],
  '--max-running': [[['--max-running', '49'], /^--max-running must be a whole number from 1 to 48/]],
};

const QUEUES: Readonly<Record<string, readonly Wrong[]>> = {
  '--queue': [[['--queue', 'http://localhost'], /^--queue must be an address such as redis:/]],
  '--queue-prefix': [[[...QUEUE, '--queue-prefix', 'a:b'], /^--queue-prefix must be 1 to 60 letters/]],
  '--queue-ca': [[[...QUEUE, '--queue-ca', 'FOLDER/none'], /^--queue-ca cannot be read/]],
};

const SERVE: Readonly<Record<string, readonly Wrong[]>> = {
  ...{ ...MODELS, ...NETWORKS, ...QUEUES },
  '--results': [[['--results', 'FOLDER'], /^--results needs --queue/]],
  '--max-queued': [[['--max-queued', '2000000'], /^--max-queued must be a whole number from 1/]],
  '--max-pixels': [[['--max-pixels', '0'], /^option '--max-pixels <n>' argument '0' is invalid/]],
  '--max-steps': [[['--max-steps', '1.5'], /^option '--max-steps <n>' argument/]],
  '--max-images': [[['--max-images', 'x'], /^option '--max-images <n>' argument/]],
  '--limits': [
    [
      ['--limits', 'bodies=7'],
      /^option '--limits <name=n,...>' argument 'bodies=7' is invalid.*names with numbers/,
    ],
    [['--limits', 'body=x'], /^option '--limits/],
  ],
  '--requests-per-minute': [[['--requests-per-minute', '2000000'], /^--requests-per-minute must be/]],
  '--keep-seconds': [[['--keep-seconds', '3000000'], /^--keep-seconds must be/]],
  '--host': [[['--host', '203.0.113.9', '--port', '0'], /^--host 203.0.113.9 is no address of this machine/]],
  '--port': [[['--port', '65536'], /^option '-p, --port <n>' argument '65536' is invalid/]],
  '--keys': [
    [['--keys', 'FOLDER/none'], /^--keys cannot be read/],
    [['--keys', 'FOLDER/file.pem'], /^--keys \S+ is not JSON/],
    [['--keys', 'FOLDER/keys.json'], /^--keys: \[0\]\.hash must be the SHA-256/],
  ],
  // Any text is a name.
  '--make-key': [],
  '--tls-key': [
    [['--tls-key', 'FOLDER/file.pem'], /^--tls-cert is missing/],
    [['--tls-key', 'FOLDER/none', '--tls-cert', 'FOLDER/file.pem'], /^--tls-key cannot be read: .*none/],
    [['--tls-key', 'FOLDER/file.pem', '--tls-cert', 'FOLDER/file.pem'], /^--tls-key cannot be used: /],
  ],
  '--tls-cert': [[['--tls-cert', 'FOLDER/file.pem'], /^--tls-key is missing/]],
  '--public-url': [[['--public-url', 'ftp://a'], /^--public-url must be an http or https address/]],
  '--log-level': [[['--log-level', 'loud'], /^option '--log-level <level>' argument 'loud' is invalid/]],
  // Texts that are compared, and switches.
  ...{ '--cors': [], '--hostname': [], '--webhook-host': [] },
  ...{ '--trust-proxy': [], '--no-webhooks': [], '--no-page': [], '--log-prompts': [] },
};

const WORKER: Readonly<Record<string, readonly Wrong[]>> = {
  ...{ ...MODELS, ...NETWORKS, ...QUEUES },
  '--queue': [...(QUEUES['--queue'] ?? []), [[], /^--queue is missing/]],
  // Found when it connects.
  '--results': [],
  '--max-attempts': [[['--max-attempts', '101'], /^--max-attempts must be a whole number from 1 to 100/]],
  '--lock-seconds': [[['--lock-seconds', '3601'], /^--lock-seconds must be a whole number from 1 to 3600/]],
  '--finish-seconds': [
    [['--finish-seconds', '-1'], /^--finish-seconds must be a whole number from 0 to 2000000/],
    [['--finish-seconds', '3000000'], /^--finish-seconds must be a whole number from 0 to 2000000/],
    [['--finish-seconds', '1.5'], /^option '--finish-seconds <n>' argument '1.5' is invalid/],
  ],
};

describe.each([
  ['serve', SERVE, []],
  ['worker', WORKER, QUEUE],
] as const)('%s', (command, table, needed) => {
  test('has no other options', () => {
    const program = createProgram({} as never);
    const options = program.commands.find((one) => one.name() === command)?.options ?? [];
    expect(options.map(({ long }) => long).sort()).toEqual(Object.keys(table).sort());
  });

  const cases = Object.entries(table).flatMap(([option, wrong]) =>
    wrong.map(([args, words]) => [option, args, words] as const),
  );
  test.each(cases)('%s: %j', async (option, args, words) => {
    const given = args.map((arg) => arg.replace('FOLDER', folder));
    const queue = option === '--queue' || args.includes('--queue') ? [] : needed;
    const model = args.includes('--model') ? [] : ['--model', `tiny=${FOLDER}`];
    const { code, out, err } = await runCli([command, ...model, ...queue, ...given]);
    expect(err.replace(/^deepcache: /, '')).toMatch(words);
    expect(err.trim().split('\n')).toHaveLength(1);
    expect([code, out]).toEqual([err.includes('ERR_DEEPCACHE_INVALID_CONFIG') ? 1 : 2, '']);
  });
});

test('a port that is taken is named', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => other.once('listening', resolve));
  const { port } = other.address() as { port: number };
  const { code, err } = await runCli(['serve', '--model', `tiny=${FOLDER}`, '--port', String(port)]);
  expect(err).toContain(`--port ${port} is taken`);
  expect(code).toBe(2);
  other.close();
});

test('an address out of the environment is named by its variable, and not quoted', async () => {
  process.env.DEEPCACHE_QUEUE = 'http://:s3cret@localhost';
  try {
    for (const command of ['serve', 'worker']) {
      const { code, err } = await runCli([command, '--model', `tiny=${FOLDER}`]);
      expect(err).toMatch(/^deepcache: DEEPCACHE_QUEUE must be an address such as redis:/);
      expect(err).not.toContain('s3cret');
      expect(code).toBe(2);
    }
  } finally {
    delete process.env.DEEPCACHE_QUEUE;
  }
});

test.each([
  ['batch', 'Of lines that say nothing else:', '--steps'],
  ['serve', 'Of requests that say nothing else:', '--steps'],
  ['generate', 'How:', '--steps'],
])('%s --help has flags that others have, too, under its own headings', async (command, heading, flag) => {
  const { out } = await runCli([command, '--help']);
  const headings = out.split('\n').slice(
    0,
    out.split('\n').findIndex((line) => line.includes(`${flag} <n>`)),
  );
  expect(headings.filter((line) => /^[A-Z].*:$/.test(line)).at(-1)).toBe(heading);
});
