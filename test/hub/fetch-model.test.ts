import { createHash, randomBytes } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type DownloadProgress, type FetchOptions, fetchModel } from '../../lib/hub/fetch-model.js';
import { breakAfter, COMMIT, type Files, fail, firstOf, HubServer } from './hub-server.js';

const NAME = 'owner/tiny-model';
const FOLDER = 'models--owner--tiny-model';
const WEIGHTS = 'unet/diffusion_pytorch_model.safetensors';

const weights = randomBytes(300_000);
const text = (value: unknown) => Buffer.from(JSON.stringify(value));
const MODEL: Files = {
  'model_index.json': text({
    _class_name: 'StableDiffusionPipeline',
    unet: ['diffusers', 'UNet2DConditionModel'],
    tokenizer: ['transformers', 'CLIPTokenizer'],
    safety_checker: [null, null],
  }),
  'README.md': Buffer.from('# A model'),
  'tiny.safetensors': randomBytes(100),
  'unet/config.json': text({ a: 1 }),
  [WEIGHTS]: weights,
  'unet/diffusion_pytorch_model.bin': randomBytes(100),
  'unet/diffusion_pytorch_model.fp16.safetensors': randomBytes(200),
  'tokenizer/vocab.json': text({}),
  'tokenizer/merges.txt': Buffer.from('#version'),
  'vae_1_0/config.json': text({}),
  'vae_1_0/diffusion_pytorch_model.safetensors': randomBytes(100),
};
const NEEDED = [
  'model_index.json',
  'tokenizer/merges.txt',
  'tokenizer/vocab.json',
  'unet/config.json',
  WEIGHTS,
].sort();

let hub: HubServer;
let cache: string;
let environment: NodeJS.ProcessEnv;
beforeEach(async () => {
  environment = { ...process.env };
  cache = mkdtempSync(join(tmpdir(), 'deepcache-hub-'));
  hub = new HubServer({ [NAME]: { ...MODEL } });
  for (const name of Object.keys(process.env)) if (/^(HF_|HUGGING)/.test(name)) delete process.env[name];
  process.env.HF_ENDPOINT = await hub.start();
  process.env.HF_HOME = join(cache, 'home');
});
afterEach(async () => {
  process.env = environment;
  await hub.stop();
  rmSync(cache, { recursive: true });
});

const get = (options: FetchOptions = {}, name = NAME) =>
  fetchModel(name, { cacheDir: cache, patience: 1, ...options });
const failing = async (options: FetchOptions = {}, name = NAME): Promise<Error & { code?: string }> => {
  const outcome = await get(options, name).catch((error: Error) => error);
  if (outcome instanceof Error) return outcome;
  throw new Error('nothing was rejected');
};
const snapshot = () => join(cache, FOLDER, 'snapshots', COMMIT);
const filesIn = (folder: string) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
const ofStore = () => hub.requests.filter(({ path }) => path.startsWith('/store'));
/** What an earlier try left of the weights. */
const leave = (bytes: Buffer) => {
  const blobs = join(cache, FOLDER, 'blobs');
  mkdirSync(blobs, { recursive: true });
  writeFileSync(join(blobs, `${sha256(weights)}.incomplete`), bytes);
};
const hasWeights = (path: string) => readFileSync(join(path, WEIGHTS)).equals(weights);

test('what loading needs, in the layout that other programs share', async () => {
  const { path } = await get();
  expect(path).toBe(snapshot());
  expect(filesIn(path)).toEqual(NEEDED);
  expect(hub.loaded).toEqual(NEEDED);
  expect(hasWeights(path)).toBe(true);
  expect(readlinkSync(join(path, WEIGHTS))).toBe(join('../../../blobs', sha256(weights)));
  expect(readFileSync(join(cache, FOLDER, 'refs/main'), 'utf8')).toBe(COMMIT);
  // Nothing else was made.
  expect(readdirSync(cache)).toEqual([FOLDER]);
  expect(readdirSync(join(cache, FOLDER)).sort()).toEqual(['blobs', 'refs', 'snapshots']);
  expect(readdirSync(join(cache, FOLDER, 'blobs'))).toHaveLength(NEEDED.length);
});

test('what is there is not loaded again; offline nothing is asked', async () => {
  await get();
  hub.requests.length = 0;
  await get();
  expect(hub.loaded).toEqual([]);
  hub.requests.length = 0;
  expect((await get({ offline: true })).path).toBe(snapshot());
  process.env.HF_HUB_OFFLINE = '1';
  expect((await get()).path).toBe(snapshot());
  expect((await get({ revision: COMMIT })).path).toBe(snapshot());
  expect(hub.requests).toEqual([]);
});

test('a variant takes the place of the weights', async () => {
  const { path } = await get({ variant: 'fp16' });
  expect(filesIn(path)).toContain('unet/diffusion_pytorch_model.fp16.safetensors');
  expect(filesIn(path)).not.toContain(WEIGHTS);
});

test('long lists come in pages', async () => {
  hub.pageSize = 2;
  expect(filesIn((await get()).path)).toEqual(NEEDED);
});

test('a repository that holds one checkpoint is that file', async () => {
  const files: Files = { 'README.md': Buffer.from(''), 'best.safetensors': weights, 'a.ckpt': weights };
  hub.models[NAME] = files;
  const { path } = await get();
  expect(path).toBe(join(snapshot(), 'best.safetensors'));
  expect(hub.loaded).toEqual(['best.safetensors']);
  expect((await get({ offline: true })).path).toBe(path);
  files['other.safetensors'] = weights;
  expect((await failing()).message).toMatch(/several checkpoints: "best.safetensors", "other.safetensors"/);
});

test('progress is told in bytes of all files', async () => {
  const seen: DownloadProgress[] = [];
  await get({ onProgress: (progress) => seen.push(progress) });
  const total = NEEDED.reduce((sum, path) => sum + (MODEL[path] as Buffer).length, 0);
  expect(seen.at(-1)).toEqual({ model: NAME, file: expect.any(String), received: total, total });
  const received = seen.map((one) => one.received);
  expect(received).toEqual([...received].sort((a, b) => a - b));
});

describe('a download that stops', () => {
  test('is gone on with where the connection broke', async () => {
    let broken = 0;
    hub.answer = ({ path, range }, response) => {
      if (!path.startsWith('/store') || broken === 3) return false;
      breakAfter(response, weights, firstOf(range), 50_000 + broken++);
      return true;
    };
    expect(hasWeights((await get()).path)).toBe(true);
    const [first, ...rest] = ofStore().map(({ range }) => range);
    expect(first).toBeUndefined();
    expect(rest).toHaveLength(3);
    for (const range of rest) expect(firstOf(range)).toBeGreaterThan(0);
  });

  test('is gone on with by a later call', async () => {
    leave(weights.subarray(0, 123_456));
    expect(hasWeights((await get()).path)).toBe(true);
    expect(ofStore().map(({ range }) => range)).toEqual([`bytes=123456-${weights.length - 1}`]);
  });

  test('begins again where the server cannot go on, and where something else was left', async () => {
    leave(randomBytes(1000));
    hub.answer = ({ path, range }, response) => {
      if (!path.startsWith('/store') || range === undefined) return false;
      response.end(weights);
      return true;
    };
    expect(hasWeights((await get()).path)).toBe(true);
  });

  test('begins again as often as the connection breaks, where the server cannot go on', async () => {
    let asked = 0;
    hub.answer = ({ path, range }, response) => {
      if (!path.startsWith('/store')) return false;
      asked++;
      if (range === undefined && asked < 5) breakAfter(response, weights, 0, 50_000);
      else response.end(weights);
      return true;
    };
    expect(hasWeights((await get()).path)).toBe(true);
    expect(asked).toBe(5);
  });

  test('for good is an error, and nothing looks whole', async () => {
    hub.answer = ({ path }, response) => {
      if (!path.startsWith('/store')) return false;
      response.destroy();
      return true;
    };
    const error = await failing();
    expect(error).toMatchObject({
      code: 'ERR_DEEPCACHE_DOWNLOAD',
      message: expect.stringMatching(/^owner\/tiny-model: .*cannot be reached/),
    });
    expect(existsSync(join(cache, FOLDER, 'refs'))).toBe(false);
    expect((await failing({ offline: true })).message).toMatch(/offline/);
  });

  test('by the signal stops, and is gone on with', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    const onProgress = ({ file }: DownloadProgress) => {
      if (file === WEIGHTS) controller.abort(reason);
    };
    expect(await failing({ signal: controller.signal, onProgress })).toBe(reason);
    expect(filesIn((await get()).path)).toEqual(NEEDED);
    expect(await failing({ signal: AbortSignal.abort(reason) })).toBe(reason);
  });
});

describe('what does not have its checksum', () => {
  test('is loaded once more', async () => {
    let bad = 1;
    hub.answer = ({ path }, response) => {
      if (!path.startsWith('/store') || bad-- <= 0) return false;
      response.end(randomBytes(weights.length));
      return true;
    };
    expect(hasWeights((await get()).path)).toBe(true);
  });

  test.each([
    ['large', /^\/store/, randomBytes(weights.length)],
    ['too long', /^\/store/, Buffer.concat([weights, weights])],
    ['small', /unet\/config\.json$/, Buffer.from('{"x":2}')],
  ])('and never has it: an error, and nothing is kept (%s)', async (_, where, bytes) => {
    hub.answer = ({ path }, response) => {
      if (!where.test(path)) return false;
      response.end(bytes);
      return true;
    };
    const error = await failing();
    expect(error).toMatchObject({
      code: 'ERR_DEEPCACHE_DOWNLOAD',
      message: expect.stringMatching(/checksum/),
    });
    const kept = filesIn(join(cache, FOLDER, 'blobs'));
    expect(kept.filter((name) => name.includes('incomplete'))).toEqual([]);
  });
});

describe('errors say what to do', () => {
  const answers = (status: number, kind?: string) => {
    hub.answer = (_, response) => {
      fail(response, status, kind);
      return true;
    };
  };
  test.each<[string, number, string | undefined, RegExp]>([
    ['no such model', 404, 'RepoNotFound', /neither a folder here nor a model there/],
    ['private, without a token', 401, 'RepoNotFound', /look at its name.*HF_TOKEN/],
    ['gated', 403, 'GatedRepo', /is gated: accept its conditions at http.*owner\/tiny-model/],
    ['gated, without a token', 401, 'GatedRepo', /is gated.*give a token/],
    ['no such revision', 404, 'RevisionNotFound', /has no revision "main"/],
    ['busy', 429, undefined, /429.*try again later/],
    ['broken', 418, undefined, /answers 418/],
  ])('%s', async (_, status, kind, says) => {
    answers(status, kind);
    const error = await failing();
    expect(error.code).toBe('ERR_DEEPCACHE_DOWNLOAD');
    expect(error.message).toMatch(/^owner\/tiny-model: /);
    expect(error.message).toMatch(says);
  });

  test('too many requests: what the server asks to wait is waited', async () => {
    let left = 2;
    hub.answer = ({ path }, response) => {
      if (!path.startsWith('/store') || left-- <= 0) return false;
      fail(response, 429, undefined, { 'retry-after': '0' });
      return true;
    };
    expect(filesIn((await get()).path)).toEqual(NEEDED);
  });

  test('no network: what is in the cache, else an error', async () => {
    await get();
    process.env.HF_ENDPOINT = 'http://127.0.0.1:1';
    const { path, remark } = await get();
    expect(path).toBe(snapshot());
    expect(remark).toMatch(/cannot be reached; what was downloaded before is used/);
    expect((await failing({}, 'owner/other')).message).toMatch(/127\.0\.0\.1:1 cannot be reached/);
  });

  test('offline, and not there', async () => {
    const { message } = await failing({ offline: true });
    expect(message).toMatch(/was not downloaded before, and nothing is downloaded offline/);
    await get();
    expect((await failing({ offline: true, revision: 'v2' })).message).toMatch(/has no revision "v2"/);
  });

  test.each(['../x', 'a..b', '/a', '', 'a b', 'x'.repeat(300)])(
    'a revision that is none: %j',
    async (revision) => {
      expect(await failing({ revision })).toMatchObject({ code: 'ERR_DEEPCACHE_INVALID_ARGUMENT' });
      expect(hub.requests).toEqual([]);
    },
  );

  test('a cache that cannot be written to', async () => {
    writeFileSync(join(cache, 'file'), '');
    const error = await failing({ cacheDir: join(cache, 'file') });
    expect(error).toMatchObject({
      code: 'ERR_DEEPCACHE_OUTPUT',
      message: expect.stringMatching(/file.*ENOTDIR/),
    });
  });

  test('an endpoint that is none', async () => {
    process.env.HF_ENDPOINT = 'file:///etc';
    expect(await failing()).toMatchObject({
      code: 'ERR_DEEPCACHE_INVALID_ARGUMENT',
      message: expect.stringMatching(/HF_ENDPOINT/),
    });
  });
});

describe('tokens', () => {
  const tokens = () => {
    const own = hub.requests.filter(({ path }) => !path.startsWith('/store')).map(({ token }) => token);
    hub.requests.length = 0;
    return [...new Set(own)];
  };

  test('come from the option, the environment, or the file of the Hub', async () => {
    await get();
    expect(tokens()).toEqual([undefined]);
    await get({ token: 'hf_option' });
    expect(tokens()).toEqual(['Bearer hf_option']);
    mkdirSync(join(cache, 'home'));
    writeFileSync(join(cache, 'home/token'), 'hf_file\n');
    await get();
    expect(tokens()).toEqual(['Bearer hf_file']);
    process.env.HF_TOKEN = 'hf_environment';
    await get();
    expect(tokens()).toEqual(['Bearer hf_environment']);
  });

  test('do not follow a list that goes on elsewhere', async () => {
    hub.answer = ({ path }, response) => {
      if (path.includes('/tree/')) response.setHeader('link', `<${hub.storeUrl}/api/next>; rel="next"`);
      return false;
    };
    await failing({ token: 'hf_secret' });
    const next = hub.requests.filter(({ path }) => path === '/api/next');
    expect(next.map(({ token }) => token)).toEqual([undefined]);
  });

  test('go to the Hub alone, and never into a message', async () => {
    await get({ token: 'hf_secret' });
    expect(ofStore().map(({ token }) => token)).toEqual([undefined]);
    hub.answer = (_, response) => {
      fail(response, 401, 'RepoNotFound');
      return true;
    };
    const error = await failing({ token: 'hf_secret' });
    expect(error.message).toMatch(/the token that was given does not open it/);
    const said = `${JSON.stringify(error)} ${error.stack} ${(error.cause as Error).stack}`;
    expect(said).not.toContain('hf_secret');
    expect((await failing({ token: 'secret' })).message).not.toContain('secret');
  });
});

describe('a server that is not trusted', () => {
  const paths = [
    '../escape.json',
    'unet/../../x.json',
    '/etc/x',
    'a\\..\\b',
    'C:/x',
    'unet//x',
    'a\0b',
    './a',
  ];
  test.each([...paths, 'x'.repeat(300)])('lists %j', async (path) => {
    hub.listed = (own) => (own === 'unet/config.json' ? { path } : {});
    expect(await failing()).toMatchObject({
      code: 'ERR_DEEPCACHE_DOWNLOAD',
      message: expect.stringMatching(/name that is not taken/),
    });
    expect(readdirSync(cache)).toEqual([]);
  });

  test.each([
    ['a hash that leads elsewhere', { oid: '../../escape' }],
    ['no hash', { oid: undefined }],
    ['a negative size', { size: -1 }],
  ])('%s', async (_, change) => {
    hub.listed = (own) => (own === 'unet/config.json' ? change : {});
    expect((await failing()).message).toMatch(/without its size and its checksum/);
    expect(readdirSync(cache)).toEqual([]);
  });

  test('names no commit', async () => {
    hub.commit = '../../escape';
    expect((await failing()).message).toMatch(/names no commit/);
    expect(readdirSync(cache)).toEqual([]);
  });

  test('has more than the disk holds', async () => {
    const lfs = { oid: sha256(weights), size: 2 ** 52, pointerSize: 1 };
    hub.listed = (own) => (own === WEIGHTS ? { lfs } : {});
    expect(await failing()).toMatchObject({
      code: 'ERR_DEEPCACHE_OUTPUT',
      message: expect.stringMatching(/takes 4503599\.\d GB, the disk has/),
    });
  });
});
