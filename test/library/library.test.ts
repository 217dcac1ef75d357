import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { DiffusionPipeline } from '../../lib/index.js';
import type { LibraryKind } from '../../lib/library/layouts.js';
import { findInLibrary, isName, listLibrary } from '../../lib/library/library.js';
import { resolveExtra, resolveModel } from '../../lib/library/resolve.js';
import { runCli } from '../cli-run.js';
import { rejection } from '../pipelines/tiny.js';

const TINY = 'test/fixtures/sd15-tiny';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'deepcache-library-'));
  // The web UI's folder, ComfyUI's and InvokeAI's models.
  for (const file of [
    'webui/models/Stable-diffusion/photo/RealThing_v2.safetensors',
    'webui/models/Stable-diffusion/photo/RealThing_v2.yaml',
    'webui/models/Stable-diffusion/old.ckpt',
    'webui/models/Stable-diffusion/old.safetensors',
    'webui/models/Lora/pixel.safetensors',
    'webui/models/Lora/a/same.safetensors',
    'webui/models/Lora/a/pixel.safetensors',
    'webui/models/Lora/b/same.safetensors',
    'webui/models/VAE/best.vae.pt',
    'webui/embeddings/EasyNegative.safetensors',
    'webui/embeddings/.hidden.pt',
    'comfy/models/checkpoints/x.safetensors',
    'comfy/models/loras/y.safetensors',
    'comfy/models/embeddings/z.pt',
    'invoke/sdxl/main/xl.safetensors',
    'invoke/sd-1/lora/l.safetensors',
    'secret.safetensors',
  ]) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), 'x');
  }
  cpSync(TINY, join(folder, 'webui/models/diffusers/tiny-folder'), { recursive: true });
  // A link that leads back.
  symlinkSync(join(folder, 'webui/models/Lora'), join(folder, 'webui/models/Lora/loop'));
});
afterEach(() => {
  delete process.env.DEEPCACHE_MODELS_DIR;
});
afterAll(() => rmSync(folder, { recursive: true }));

const ui = () => join(folder, 'webui');
const find = (kind: LibraryKind, name: string, place = ui()) =>
  findInLibrary(place, kind, name, { option: kind });
const names = async (place: string) =>
  (await listLibrary(join(folder, place))).map(({ kind, name }) => `${kind} ${name}`).sort();

test('what there is in the layouts of several programs', async () => {
  expect(await names('webui')).toEqual([
    'embedding EasyNegative.safetensors',
    'lora a/pixel.safetensors',
    'lora a/same.safetensors',
    'lora b/same.safetensors',
    'lora pixel.safetensors',
    'model old.ckpt',
    'model old.safetensors',
    'model photo/RealThing_v2.safetensors',
    'model tiny-folder',
    'vae best.vae.pt',
  ]);
  // The folder of the models alone, too.
  expect((await names('webui/models')).filter((name) => name.startsWith('lora'))).toHaveLength(4);
  expect(await names('comfy')).toEqual(['embedding z.pt', 'lora y.safetensors', 'model x.safetensors']);
  expect(await names('invoke')).toEqual(['lora l.safetensors', 'model xl.safetensors']);
});

describe('names', () => {
  test.each<[LibraryKind, string, string]>([
    ['model', 'RealThing_v2', 'models/Stable-diffusion/photo/RealThing_v2.safetensors'],
    ['model', 'realthing_V2.safetensors', 'models/Stable-diffusion/photo/RealThing_v2.safetensors'],
    ['model', 'photo/RealThing_v2', 'models/Stable-diffusion/photo/RealThing_v2.safetensors'],
    ['model', 'photo\\realthing_v2', 'models/Stable-diffusion/photo/RealThing_v2.safetensors'],
    ['model', 'old', 'models/Stable-diffusion/old.safetensors'],
    ['model', 'old.ckpt', 'models/Stable-diffusion/old.ckpt'],
    ['model', 'Tiny-Folder', 'models/diffusers/tiny-folder'],
    ['lora', 'a/same', 'models/Lora/a/same.safetensors'],
    ['vae', 'best.vae', 'models/VAE/best.vae.pt'],
    ['embedding', 'easynegative', 'embeddings/EasyNegative.safetensors'],
    // What lies nearer comes first.
    ['lora', 'PIXEL', 'models/Lora/pixel.safetensors'],
  ])('%s %s', async (kind, name, path) => {
    expect(await find(kind, name)).toBe(join(ui(), path));
  });

  test('that several things have', async () => {
    expect(await rejection(find('lora', 'same'))).toMatchObject({
      code: 'ERR_DEEPCACHE_INVALID_ARGUMENT',
      message: expect.stringMatching(/"same" is several.*"a\/same\.safetensors", "b\/same\.safetensors"/),
    });
  });

  test.each([
    '../secret',
    '../../secret.safetensors',
    './old',
    'a/../old',
    '~/old',
    'C:old',
    '/old',
    '',
    'a\0',
  ])('%j is a path, which is not looked up', async (name) => {
    expect(isName(name)).toBe(false);
    expect(await find('model', name)).toBeUndefined();
  });

  test('that are unknown, with what may have been meant', async () => {
    const error = await rejection(resolveModel('RealThing_v3', { modelsDir: ui() }));
    expect(error.message).toMatch(
      /^model "RealThing_v3" is no file or folder, and no model in .*did you mean "RealThing_v2"\?/,
    );
    const other = await rejection(resolveExtra('vae', 'something', { modelsDir: ui(), option: 'vae' }));
    expect(other.message).toMatch(/^vae "something" .*no autoencoder in .*it has 1 of them/);
  });
});

describe('where a name is looked up', () => {
  test('what lies at the path comes first', async () => {
    expect(await resolveModel(TINY, { modelsDir: ui() })).toEqual({ path: TINY });
    expect(await resolveModel('nowhere/at/all')).toEqual({ path: 'nowhere/at/all' });
  });

  test('the folder of the environment, and one that is none', async () => {
    process.env.DEEPCACHE_MODELS_DIR = ui();
    expect((await resolveModel('tiny-folder')).path).toBe(join(ui(), 'models/diffusers/tiny-folder'));
    const error = await rejection(resolveModel('x', { modelsDir: join(folder, 'nowhere') }));
    expect(error.message).toMatch(/^modelsDir must be a folder/);
  });
});

test('a model loads by its name', async () => {
  const log: string[] = [];
  const options = { modelsDir: ui(), device: 'cpu', log: (text: string) => void log.push(text) } as const;
  await using pipe = await DiffusionPipeline.fromPretrained('tiny-folder', options);
  expect(pipe.device).toBe('cpu');
  expect(log.join('\n')).toContain(`tiny-folder: ${join(ui(), 'models/diffusers/tiny-folder')}`);
});

describe('the command line', () => {
  test('lists what there is, and shows one of it', async () => {
    const { code, out } = await runCli(['inspect', '--models-dir', ui()]);
    expect(code).toBe(0);
    expect(out).toMatch(/pixel\.safetensors +LoRA +1 B/);
    expect(out).toMatch(/tiny-folder +model +folder/);
    const { entries } = JSON.parse((await runCli(['inspect', '--models-dir', ui(), '--json'])).out);
    expect(entries).toHaveLength(10);
    const one = await runCli(['inspect', 'tiny-folder', '--models-dir', ui()]);
    expect(one.out).toContain('StableDiffusionPipeline');
    const nothing = await runCli(['inspect']);
    expect(nothing).toMatchObject({ code: 2, err: expect.stringMatching(/what is missing/) });
  });

  test('generates with a model and an embedding by their names', async () => {
    const { writeSafetensors } = await import('../safetensors-file.js');
    const file = join(ui(), 'embeddings/style.safetensors');
    writeSafetensors(file, { emb_params: { shape: [2, 32], data: new Float32Array(64).fill(0.1) } });
    const output = join(folder, 'out.png');
    const run = [
      'generate',
      '--models-dir',
      ui(),
      '-m',
      'tiny-folder',
      '--steps',
      '2',
      '--device',
      'cpu',
      '-o',
      output,
    ];
    const made = await runCli([
      ...run,
      '-p',
      'a <s> style',
      '--embedding',
      'Style=<s>',
      '--embedding',
      resolve(file),
      '--json',
    ]);
    expect(made.err).toContain('tiny-folder');
    expect(made.code).toBe(0);
    const [settings] = JSON.parse(made.out).settings ?? [];
    if (settings !== undefined) expect(settings).toMatch(/TI files: "<s>: style\.safetensors, style: style/);
    const lora = await runCli([...run, '-p', 'a', '--lora', 'pixl:0.5']);
    expect(lora).toMatchObject({
      code: 2,
      err: expect.stringMatching(/lora "pixl" .*no LoRA in .*did you mean "pixel"/),
    });
    // It is found, and is no LoRA.
    const found = await runCli([...run, '-p', 'a', '--lora', 'Pixel:0.5']);
    expect(found).toMatchObject({ code: 1, err: expect.stringContaining('models/Lora/pixel.safetensors') });
    const wrong = await runCli([...run, '-p', 'a', '--embedding', 'EasyNegativ']);
    expect(wrong).toMatchObject({
      code: 2,
      err: expect.stringMatching(/embedding "EasyNegativ".*did you mean "EasyNegative"/),
    });
  });
});
