import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { DiffusionPipeline, type DownloadProgress, StableDiffusionPipeline } from '../../lib/index.js';
import { runCli } from '../cli-run.js';
import { writeDdpm } from '../composition/made-systems.js';
import { TINY_VAE_FILE, writeTinyVae } from '../pipelines/made-tiny-vae.js';
import { rejection } from '../pipelines/tiny.js';
import { COMMIT, type Files, HubServer } from './hub-server.js';

const TINY = 'test/fixtures/sd15-tiny';
const NAME = 'someone/sd15-tiny';

/** A TAESD of the model's kind with synthetic weights. */
async function taesd(): Promise<Files> {
  const folder = await writeTinyVae(join(cache, 'taesd'));
  const files = ['config.json', TINY_VAE_FILE].map(
    (name) => [name, readFileSync(join(folder, name))] as const,
  );
  // Its authors' own files lie beside it, and are left there.
  return { ...Object.fromEntries(files), 'taesd_decoder.safetensors': Buffer.alloc(9) };
}

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
  hub = new HubServer({ [NAME]: files, 'madebyollin/taesd': await taesd() });
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

describe('an autoencoder from the Hub', () => {
  const TAESD = 'madebyollin/taesd';
  const run = { prompt: 'a', steps: 2, seed: 1 } as const;

  test.each([TAESD, 'tiny'])('is loaded by the name %s', async (vae) => {
    await using pipe = await StableDiffusionPipeline.fromPretrained(TINY, {
      device: 'cpu',
      vae,
      log: () => {},
    });
    expect(pipe.vae.config._class_name).toBe('AutoencoderTiny');
    const folder = join(cache, 'hub/models--madebyollin--taesd/snapshots', COMMIT);
    expect(readdirSync(folder).sort()).toEqual(['config.json', 'diffusion_pytorch_model.safetensors']);
    expect((await pipe.generate(run)).images).toHaveLength(1);
  });

  test('the revision and the variant are the model’s, not its', async () => {
    const named = { revision: COMMIT, variant: 'fp16', vae: TAESD, previewVae: 'tiny' };
    await using pipe = await StableDiffusionPipeline.fromPretrained(NAME, {
      ...named,
      device: 'cpu',
      log: () => {},
    });
    expect(pipe.vae.config._class_name).toBe('AutoencoderTiny');
  });

  test('from the command line, also without a network', async () => {
    const output = join(cache, 'tiny.png');
    const args = ['generate', '-m', TINY, '-p', 'a', '--steps', '1', '--device', 'cpu', '-o', output];
    const flags = ['--vae', 'tiny', '--preview-vae', 'tiny', '--offline'];
    expect(await runCli([...args, ...flags])).toMatchObject({ code: 0 });
  });

  test('is an error where there is none of the model’s kind', async () => {
    const folder = join(cache, 'ddpm');
    await writeDdpm(folder);
    for (const option of ['vae', 'previewVae']) {
      const error = await rejection(
        DiffusionPipeline.fromPretrained(folder, { [option]: 'tiny', device: 'cpu' }),
      );
      expect(error.message).toBe(
        `${option} is 'tiny', which stands for the small autoencoders of Stable Diffusion and SDXL; there is none for a DDPMPipeline`,
      );
    }
  });
});

test.each(['models/x.safetensors', 'x/y.ckpt', 'x/y.PT'])('%s is a file, not a name', async (path) => {
  hub.requests.length = 0;
  const message = expect.stringMatching(/does not exist/);
  const options = { device: 'cpu', log: () => {} } as const;
  expect(await rejection(DiffusionPipeline.fromPretrained(path, options))).toMatchObject({ message });
  const vae = DiffusionPipeline.fromPretrained(TINY, { ...options, vae: path });
  expect(await rejection(vae)).toMatchObject({ message: expect.stringMatching(/^vae is .* does not exist/) });
  expect(hub.requests).toEqual([]);
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
