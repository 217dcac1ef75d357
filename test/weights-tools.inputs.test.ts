import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createProgram } from '../weights-tools/program.js';
import { runCli } from './cli-run.js';
import { writeSafetensors } from './safetensors-file.js';

// What weights-tools reads: places as people have them, and models that are not whole.

const TINY = 'test/fixtures/sd15-tiny';
const STEM = 'diffusion_pytorch_model';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'deepcache-inputs-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const path = (name: string) => join(folder, name);
const tool = (...args: string[]) => runCli(args, { create: createProgram });

/** A copy of the tiny model. */
function model(name: string): string {
  cpSync(TINY, path(name), { recursive: true });
  return path(name);
}

describe('a model', () => {
  test.each<[string, () => string]>([
    [
      "in the Hub's cache, whose files are links",
      () => {
        const cache = path('models--org--name');
        mkdirSync(join(cache, 'snapshots'), { recursive: true });
        mkdirSync(join(cache, 'refs'));
        writeFileSync(join(cache, 'refs/main'), 'abc');
        const snapshot = join(cache, 'snapshots/abc');
        cpSync(TINY, snapshot, { recursive: true });
        mkdirSync(join(cache, 'blobs'));
        for (const part of ['unet', 'vae']) {
          const file = join(snapshot, part, `${STEM}.safetensors`);
          renameSync(file, join(cache, 'blobs', part));
          symlinkSync(`../../../blobs/${part}`, file);
        }
        return cache;
      },
    ],
    [
      'that is the only one in a folder',
      () => {
        mkdirSync(path('only'));
        symlinkSync(resolve(TINY), path('only/one'));
        return path('only');
      },
    ],
    ['in a folder with signs of all kinds', () => model('Ünï "cödé" \'n spaces 漢字')],
  ])('%s', async (name, make) => {
    const input = make();
    const output = path(`${name}.safetensors`);
    for (const args of [
      ['convert', input, '-o', path(`${name} out`), '-q'],
      ['convert', input, '-o', output, '-q'],
      ['diff', input, TINY, '-q'],
      ['diff', path(`${name} out`), TINY, '-q'],
    ]) {
      const { code, err } = await tool(...args);
      expect({ args, code, err }).toEqual({ args, code: 0, err: '' });
    }
  });
});

test.each(['convert', 'diff'])('%s of what is neither a file nor a folder', async (command) => {
  const rest = command === 'diff' ? [TINY] : ['-o', path('nothing')];
  const { code, err } = await tool(command, '/dev/null', ...rest);
  expect(err).toContain('/dev/null: is neither a file nor a folder [ERR_DEEPCACHE_INVALID_CONFIG]');
  expect(code).toBe(1);
});

describe('a model that lacks', () => {
  const damaged: readonly (readonly [string, string, (own: string) => void])[] = [
    [
      'the weights of a network',
      `vae has no ${STEM}.safetensors`,
      (own) => rmSync(`${own}/vae/${STEM}.safetensors`),
    ],
    [
      'a file of weights, where a folder has its name',
      'is no regular file',
      (own) => {
        rmSync(`${own}/vae/${STEM}.safetensors`);
        mkdirSync(`${own}/vae/${STEM}.safetensors`);
      },
    ],
    [
      'tensors, as its index names one of its files only',
      'vae: lacks the tensors "',
      (own) => {
        writeSafetensors(`${own}/vae/first.safetensors`, {
          'encoder.conv_in.bias': { shape: [8], data: new Float32Array(8) },
        });
        rmSync(`${own}/vae/${STEM}.safetensors`);
        const index = { weight_map: { 'encoder.conv_in.bias': 'first.safetensors' } };
        writeFileSync(`${own}/vae/${STEM}.safetensors.index.json`, JSON.stringify(index));
      },
    ],
    [
      'a shard',
      'missing.safetensors: cannot be read',
      (own) => {
        rmSync(`${own}/vae/${STEM}.safetensors`);
        const index = { weight_map: { x: 'missing.safetensors' } };
        writeFileSync(`${own}/vae/${STEM}.safetensors.index.json`, JSON.stringify(index));
      },
    ],
  ];

  test.each(damaged)('%s is not converted, merged or taken apart', async (name, problem, damage) => {
    const own = model(name);
    damage(own);
    for (const [command, ...args] of [
      ['convert', '-o', path('out')],
      ['convert', '-o', path('out.safetensors')],
      ['extract', '--part', 'vae', '-o', path('out')],
    ] as const) {
      const { code, err } = await tool(command, own, ...args);
      expect(err).toContain(problem);
      expect(code).toBe(1);
      expect(existsSync(path('out')) || existsSync(path('out.safetensors'))).toBe(false);
    }
  });

  test('nothing that is known of it', async () => {
    const own = path('unknown');
    mkdirSync(join(own, 'unet'), { recursive: true });
    const index = { _class_name: 'SomePipeline', unet: ['diffusers', 'SomeModel'] };
    writeFileSync(join(own, 'model_index.json'), JSON.stringify(index));
    writeFileSync(join(own, 'unet/config.json'), '{"_class_name": "SomeModel", "layers": 1}');
    const values = { shape: [2], data: Float32Array.of(1, 2) };
    writeSafetensors(join(own, `unet/${STEM}.safetensors`), { 'layer.weight': values });
    const { code, err } = await tool('convert', own, '-o', path('half'), '--dtype', 'fp16', '-q');
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(readFileSync(path(`half/unet/${STEM}.safetensors`)).includes('"F16"')).toBe(true);
  });
});

test('configurations may begin with a mark of the byte order', async () => {
  const own = model('marked');
  for (const name of ['model_index.json', 'unet/config.json', 'scheduler/scheduler_config.json']) {
    const file = join(own, name);
    writeFileSync(file, `\ufeff${readFileSync(file, 'utf8')}`);
  }
  const { code, out } = await runCli(['inspect', own]);
  expect(out).toContain('no problems found');
  expect(code).toBe(0);
});
