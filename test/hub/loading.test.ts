import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { DiffusionPipeline, type DownloadProgress } from '../../lib/index.js';
import { runCli } from '../cli-run.js';
import { rejection } from '../pipelines/tiny.js';
import { COMMIT, type Files, HubServer } from './hub-server.js';

const TINY = 'test/fixtures/sd15-tiny';
const NAME = 'someone/sd15-tiny';

let hub: HubServer;
let cache: string;
let environment: NodeJS.ProcessEnv;
beforeAll(async () => {
  environment = { ...process.env };
  cache = mkdtempSync(join(tmpdir(), 'deepcache-hub-'));
  const files: Files = {};
  for (const entry of readdirSync(TINY, { recursive: true, withFileTypes: true })) {
    if (entry.isDirectory()) continue;
    const path = join(entry.parentPath, entry.name);
    files[path.slice(TINY.length + 1)] = readFileSync(path);
  }
  hub = new HubServer({ [NAME]: files });
  process.env.HF_ENDPOINT = await hub.start();
  process.env.HF_HOME = cache;
  for (const name of ['HF_TOKEN', 'HF_HUB_CACHE', 'HF_HUB_OFFLINE']) delete process.env[name];
});
afterAll(async () => {
  process.env = environment;
  await hub.stop();
  rmSync(cache, { recursive: true });
});

const OFFLINE = { offline: true, device: 'cpu', log: () => {} } as const;
const snapshot = () => join(cache, 'hub/models--someone--sd15-tiny/snapshots', COMMIT);

test('a model loads by its name on the Hub', async () => {
  const seen: DownloadProgress[] = [];
  const log: string[] = [];
  await using pipe = await DiffusionPipeline.fromPretrained(NAME, {
    device: 'cpu',
    log: (text) => void log.push(text),
    onProgress: (progress) => seen.push(progress),
  });
  expect(pipe.model?.name).toBe(NAME);
  expect(log).toContain(`${NAME}: ${snapshot()}`);
  expect(seen.at(-1)?.received).toBe(seen.at(-1)?.total);
});

test('and is found again without a network', async () => {
  hub.requests.length = 0;
  await using pipe = await DiffusionPipeline.fromPretrained(NAME, OFFLINE);
  expect(pipe.model?.name).toBe(NAME);
  const page = `https://huggingface.co/${NAME}/tree/main`;
  await using same = await DiffusionPipeline.fromPretrained(page, OFFLINE);
  expect(same.model).toEqual(pipe.model);
  expect(hub.requests).toEqual([]);
});

test('on the command line, too', async () => {
  const output = join(cache, 'out.png');
  const run = ['generate', '-m', NAME, '-p', 'a', '--steps', '2', '--device', 'cpu', '-o', output];
  const made = await runCli(run);
  expect(made).toMatchObject({ code: 0, err: expect.stringContaining(snapshot()) });
  hub.requests.length = 0;
  expect((await runCli([...run, '--offline', '--force'])).code).toBe(0);
  expect(hub.requests).toEqual([]);
  const { code, err } = await runCli([...run, '--offline', '--revision', 'v9']);
  expect({ code, err }).toMatchObject({
    code: 1,
    err: expect.stringMatching(/has no revision "v9".*ERR_DEEPCACHE_DOWNLOAD/),
  });
  expect((await runCli(['inspect', NAME])).out).toContain('StableDiffusionPipeline');
});

test('a model that is nowhere', async () => {
  const error = await rejection(
    DiffusionPipeline.fromPretrained('someone/else', { device: 'cpu', log: () => {} }),
  );
  expect(error).toMatchObject({
    code: 'ERR_DEEPCACHE_DOWNLOAD',
    message: expect.stringMatching(/^someone\/else: is not at .*neither a folder here nor a model there/),
  });
});

test.each([{ revision: '../x' }, { token: 'secret' }, { offline: 1 }, { cacheDir: 5 }])(
  'options are checked before anything is asked: %j',
  async (options) => {
    hub.requests.length = 0;
    const error = await rejection(DiffusionPipeline.fromPretrained(NAME, options as object));
    expect(error.code).toBe('ERR_DEEPCACHE_INVALID_ARGUMENT');
    expect(error.message).not.toContain('secret');
    expect(hub.requests).toEqual([]);
  },
);
