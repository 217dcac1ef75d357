import {
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Interruption } from '../lib/cli/context.js';
import { findModel } from '../lib/models/model-files.js';
import { createProgram } from '../weights-tools/program.js';
import { AdapterFolder, values } from './adapters/adapter-files.js';
import { type CliOptions, runCli } from './cli-run.js';

// Where weights-tools writes: never over what it reads, all or nothing.

const TINY = 'test/fixtures/sd15-tiny';
const STEM = 'diffusion_pytorch_model';

let folder: string;
const adapters = new AdapterFolder();
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'deepcache-outputs-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
  adapters.remove();
});

const path = (name: string) => join(folder, name);
const tool = (args: readonly string[], options: CliOptions = {}) =>
  runCli(args, { create: createProgram, ...options });
async function done(...args: string[]): Promise<void> {
  const { code, err } = await tool(args);
  expect({ code, err }).toEqual({ code: 0, err: '' });
}

/** All files below a folder, with their bytes. */
function contents(root: string): Map<string, string> {
  const files = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return new Map(
    files
      .map(({ parentPath, name }) => join(parentPath, name))
      .sort()
      .map((file) => [file, readFileSync(file).toString('base64')]),
  );
}

describe('what is read is not replaced', () => {
  const model = () => {
    const copy = mkdtempSync(path('model-'));
    cpSync(TINY, copy, { recursive: true });
    return copy;
  };

  test.each<[string, () => readonly string[]]>([
    [
      'a part of a model by the folder that it comes from',
      () => {
        const own = model();
        return ['extract', own, '--part', 'vae', '-o', `${own}/vae`];
      },
    ],
    [
      'a model by itself, under the name of a link',
      () => {
        const own = model();
        symlinkSync(own, `${own}-link`);
        return ['convert', `${own}-link`, '-o', own, '--dtype', 'fp16'];
      },
    ],
    [
      'a file by its other name',
      () => {
        const own = model();
        linkSync(`${own}/vae/${STEM}.safetensors`, `${own}/other.safetensors`);
        return ['convert', `${own}/vae/${STEM}.safetensors`, '-o', `${own}/other.safetensors`];
      },
    ],
    [
      'a network by a shard of it',
      () => {
        const own = model();
        return ['convert', `${own}/unet`, '-o', `${own}/unet/../unet/${STEM}.safetensors`];
      },
    ],
    [
      'an adapter in a folder by the model that it goes into',
      () => {
        const own = model();
        mkdirSync(`${own}/adapter`);
        const layer = 'unet.down_blocks.0.attentions.0.proj_in';
        const tensors = {
          [`${layer}.lora_A.weight`]: values([1, 16, 1, 1], 1),
          [`${layer}.lora_B.weight`]: values([16, 1, 1, 1], 2),
        };
        cpSync(adapters.write('a.safetensors', tensors), `${own}/adapter/pytorch_lora_weights.safetensors`);
        const output = `${own}/adapter/pytorch_lora_weights.safetensors`;
        return ['merge-lora', own, `${own}/adapter`, '-o', output];
      },
    ],
  ])('%s', async (_, args) => {
    const given = args();
    const before = contents(folder);
    const { code, err } = await tool([...given, '--force']);
    expect(err).toMatch(/--output would replace .*, which is read: give another place/);
    expect(code).toBe(2);
    expect(contents(folder)).toEqual(before);
  });

  test('a single file by a part of it', async () => {
    const file = path('whole.safetensors');
    await done('convert', TINY, '-o', file, '-q');
    const before = readFileSync(file);
    const args = ['extract', file, '--part', 'vae', '--config', TINY, '-o', file, '--force'];
    const { code, err } = await tool(args);
    expect(err).toContain('which is read');
    expect(code).toBe(2);
    expect(readFileSync(file).equals(before)).toBe(true);
  });
});

describe('shards', () => {
  const unet = `${TINY}/unet`;
  const sharded = (...args: string[]) => ['convert', unet, ...args, '--max-shard-size', '2MB', '-q'];

  test('that are there stay without --force', async () => {
    const output = path('shards/unet.safetensors');
    await done(...sharded('-o', output));
    const before = contents(path('shards'));
    expect(before.size).toBe(4);
    const { code, err } = await tool(sharded('-o', output, '--dtype', 'fp16'));
    expect(err).toMatch(
      /unet-00001-of-00002\.safetensors is there already; --force replaces it|unet\.safetensors\.index\.json is there already/,
    );
    expect(code).toBe(2);
    expect(contents(path('shards'))).toEqual(before);
  });

  test('take the place of the one file, and that of theirs', async () => {
    const output = path('either');
    const found = async () =>
      (await findModel(output, STEM)).files.map((file) => file.slice(output.length + 1));
    await done('convert', unet, '-o', output, '-q');
    expect(await found()).toEqual([`${STEM}.safetensors`]);
    await done(...sharded('-o', output, '--force'));
    expect((await found()).length).toBeGreaterThan(1);
    expect(readdirSync(output)).not.toContain(`${STEM}.safetensors`);
    await done('convert', unet, '-o', output, '-q', '--force');
    expect(await found()).toEqual([`${STEM}.safetensors`]);
    expect(readdirSync(output).sort()).toEqual(['config.json', `${STEM}.safetensors`]);
  });

  test('of another number take their place, and nothing else that its list names', async () => {
    const output = path('fewer/unet.safetensors');
    await done(...sharded('-o', output));
    const index = JSON.parse(readFileSync(`${output}.index.json`, 'utf8'));
    writeFileSync(path('fewer/notes.safetensors'), 'mine');
    index.weight_map.more = 'notes.safetensors';
    writeFileSync(`${output}.index.json`, JSON.stringify(index));
    await done('convert', unet, '-o', output, '--max-shard-size', '4MB', '-q', '--force');
    const names = readdirSync(path('fewer')).filter((name) => name !== 'notes.safetensors');
    expect(names.sort()).toEqual([
      'unet-00001-of-00002.safetensors',
      'unet-00002-of-00002.safetensors',
      'unet.safetensors.index.json',
    ]);
    expect(readFileSync(path('fewer/notes.safetensors'), 'utf8')).toBe('mine');
  });

  test('of a name in capitals are different files', async () => {
    const output = path('capitals/UNET.SAFETENSORS');
    await done(...sharded('-o', output));
    expect(readdirSync(path('capitals'))).toContain('UNET-00001-of-00003.SAFETENSORS');
  });
});

describe('nothing is left', () => {
  /** Stops a command when it reports its first file. */
  async function stopped(args: readonly string[]) {
    const controller = new AbortController();
    const onOutput = () => controller.abort(new Interruption('SIGINT'));
    return tool(args, { signal: controller.signal, onOutput });
  }

  test.each<[string, (output: string) => readonly string[]]>([
    ['convert', (output) => ['convert', TINY, '-o', output]],
    ['merge-lora', (output) => ['merge-lora', TINY, adapter(), '-o', output]],
  ])('of an interrupted %s', async (name, args) => {
    const before = contents(folder);
    const { code, out } = await stopped(args(path(`${name}/deep/model`)));
    expect(code).toBe(130);
    expect(out).not.toBe('');
    expect(contents(folder)).toEqual(before);
    expect(existsSync(path(name))).toBe(false);
  });

  test('of an interrupted one in a folder with other things', async () => {
    const output = path('mine');
    mkdirSync(output);
    writeFileSync(join(output, 'notes.txt'), 'precious');
    const { code } = await stopped(['convert', TINY, '-o', output, '--force']);
    expect(code).toBe(130);
    expect(readdirSync(output)).toEqual(['notes.txt']);
  });

  test('of a model that turns out to be damaged', async () => {
    const broken = path('broken');
    cpSync(TINY, broken, { recursive: true });
    // Found after the other networks were written.
    const file = `${broken}/vae/${STEM}.safetensors`;
    const bytes = readFileSync(file);
    bytes.writeFloatLE(1e30, bytes.length - 4);
    writeFileSync(file, bytes);
    const { code, err } = await tool(['convert', broken, '-o', path('new/out'), '--dtype', 'fp16']);
    expect(err).toContain('beyond the range of F16');
    expect(code).toBe(1);
    expect(existsSync(path('new'))).toBe(false);
  });

  test('of an interrupted synth', async () => {
    const controller = new AbortController();
    const run = tool(['synth', '--small', '-o', path('synth/model')], {
      signal: controller.signal,
      columns: 80,
      // A line about its progress: it writes.
      onError: () => controller.abort(new Interruption('SIGINT')),
    });
    expect((await run).code).toBe(130);
    expect(existsSync(path('synth'))).toBe(false);
  });

  test('and names are those of the places, in errors too', async () => {
    const model = path('unreadable');
    cpSync(TINY, model, { recursive: true });
    rmSync(`${model}/vae/${STEM}.safetensors`);
    mkdirSync(`${model}/vae/${STEM}.safetensors`);
    const { code, err } = await tool(['convert', model, '-o', path('named')]);
    expect(code).toBe(1);
    expect(err).not.toContain('.part');
    expect(existsSync(path('named'))).toBe(false);
  });
});

test.each(['model.ckpt', 'model.bin', 'x/model.pt'])('no folder is made of the name %s', async (name) => {
  const { code, err } = await tool(['convert', TINY, '-o', path(name)]);
  expect(err).toContain('--output must end in .safetensors for a file, or name a folder');
  expect(code).toBe(2);
  expect(existsSync(path(name))).toBe(false);
});

function adapter(): string {
  const layer = 'unet.down_blocks.0.attentions.0.proj_in';
  return adapters.write('one.safetensors', {
    [`${layer}.lora_A.weight`]: values([1, 16, 1, 1], 1),
    [`${layer}.lora_B.weight`]: values([16, 1, 1, 1], 2),
  });
}
