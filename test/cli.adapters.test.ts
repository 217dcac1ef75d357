import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Image } from '../lib/index.js';
import { AdapterFolder, values } from './adapters/adapter-files.js';
import { runCli } from './cli-run.js';
import { FOLDER, loadTiny } from './pipelines/tiny.js';

// --lora, --lora-dir and --embedding, on the commands that make pictures.

const LAYER = 'down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q';
const folder = new AdapterFolder();
const path = (name: string) => `${folder.path}/${name}`;

const MODEL = ['-m', FOLDER, '--device', 'cpu', '--scheduler', 'DDIM'];
const generate = (name: string, ...args: string[]) =>
  runCli(['generate', ...MODEL, '--steps', '3', '-s', '7', '-q', '-o', path(name), ...args]);

beforeAll(async () => {
  await using pipe = await loadTiny();
  const shapes = new Map(pipe.unet.weightShapes().map(({ name, shape }) => [name, shape] as const));
  const [rows = 0, columns = 0] = shapes.get(`${LAYER}.weight`) ?? [];
  folder.write('style.safetensors', {
    [`unet.${LAYER}.lora_A.weight`]: values([3, columns], 1, 2),
    [`unet.${LAYER}.lora_B.weight`]: values([rows, 3], 2, 2),
  });
  folder.write('token.safetensors', { emb_params: values([1, pipe.textEncoder.width], 3, 1) });
  for (const copy of ['a/twice', 'b/twice', 'a/style', 'shared/models/Lora/people/style']) {
    mkdirSync(dirname(path(copy)), { recursive: true });
    copyFileSync(path('style.safetensors'), path(`${copy}.safetensors`));
  }
  writeFileSync(path('prompts.txt'), 'a red house <lora:style:0.5>\na dog <lora:style:0.5>\n');
});
afterAll(() => folder.remove());

/** The pixels of a picture that `generate` makes. */
async function made(name: string, ...args: string[]): Promise<string> {
  const { code, err } = await generate(name, ...args);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  const { data } = await Image.open(path(name));
  return Buffer.from(data).toString('base64');
}

describe('generate', () => {
  test('--lora and --lora-dir change pictures as much', async () => {
    const plain = await made('plain.png', '-p', 'a red house');
    const lora = await made('lora.png', '-p', 'a red house', '--lora', `${path('style.safetensors')}:0.5`);
    expect(lora).not.toBe(plain);
    const named = ['-p', 'a red house<lora:style:0.5>', '--lora-dir', folder.path];
    expect(await made('named.png', ...named)).toBe(lora);
    // One that a flag gives is there for prompts, too.
    const given = ['--lora', path('style.safetensors')];
    expect(await made('given.png', '-p', 'a red house<lora:style:0.5>', ...given)).toBe(lora);
    const shared = ['-p', 'a red house<lora:STYLE:0.5>', '--models-dir', path('shared')];
    expect(await made('shared.png', ...shared)).toBe(lora);
    const off = await made('off.png', '-p', 'a red house', '--lora', `${path('style.safetensors')}:0`);
    expect(off).toBe(plain);
  });
});

test('files of one name in several folders are told apart', async () => {
  const files = [
    '--lora',
    `${path('a/style.safetensors')}:0.25`,
    '--lora',
    `${path('style.safetensors')}:0.25`,
  ];
  const { code, out, err } = await generate('both.png', '-p', 'a red house', ...files);
  expect({ code, out, err }).toEqual({ code: 0, out: '', err: '' });
  const { out: settings } = await runCli(['inspect', path('both.png')]);
  expect(settings).toContain('style: 0.25, style-2: 0.25');
});

describe('commands that measure', () => {
  const compare = ['compare', ...MODEL, '--steps', '4', '--repeats', '1', '-c', 'interval=2', '-s', '7'];
  const quality = ['quality', ...MODEL, '--steps', '4', '--repeats', '1', '-c', 'interval=2'];
  const tune = ['tune', ...MODEL, '--steps', '4', '--min-psnr', '10', '--branches', '0', '--max-runs', '2'];
  const lora = ['--lora', path('style.safetensors')];

  /** A figure that other weights change. */
  const psnr = async (...args: string[]): Promise<unknown> => {
    const { code, out, err } = await runCli([...args, '--json']);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    // Of tune, quality and compare.
    const { tuning, rows, runs } = JSON.parse(out);
    return (tuning ?? rows?.[1] ?? runs[0]).psnr;
  };

  test.each([
    ['compare', [...compare, '-o', path('compare.png'), '--force']],
    ['quality', quality],
    ['tune', tune],
  ])('%s takes them', async (_, command) => {
    const prompt = ['-p', 'a red house'];
    const [plain, adapted] = [await psnr(...command, ...prompt), await psnr(...command, ...prompt, ...lora)];
    expect(typeof plain).toBe('number');
    expect(adapted).not.toBe(plain);
    const tagged = ['-p', 'a red house<lora:style>', '--lora-dir', folder.path];
    expect(await psnr(...command, ...tagged)).toBe(adapted);
    const token = ['-p', 'a red <s>', '--embedding', `${path('token.safetensors')}=<s>`];
    expect(await psnr(...command, ...token)).not.toBe(await psnr(...command, '-p', 'a red <s>'));
  });

  test.each([
    ['generate', ['generate', ...MODEL, '-o', path('never.png')]],
    ['compare', [...compare, '-o', path('never.png')]],
    ['quality', quality],
    ['tune', tune],
  ])('%s refuses wrong ones before it loads a model', async (name, command) => {
    const refused = async (message: string, ...args: string[]) => {
      const { code, err } = await runCli([...command, ...args]);
      expect(code).not.toBe(0);
      expect(err).toContain(message);
      expect(err).not.toContain('loading');
    };
    const prompt = ['-p', 'a red house'];
    await refused('none.safetensors', ...prompt, '--lora', path('none.safetensors'));
    const inFolder = ['--lora-dir', folder.path];
    await refused('has no LoRA "nobody"', '-p', 'a <lora:nobody:1>', ...inFolder);
    await refused('did you mean "style"?', '-p', 'a <lora:stile:1>', ...inFolder);
    await refused('"twice" is several', '-p', 'a <lora:twice:1>', ...inFolder);
    await refused('--prompt names the adapter "style": give it by --lora', '-p', 'a <lora:style:1>');
    if (['generate', 'compare'].includes(name)) {
      const negative = ['--negative-prompt', '<lora:style:1>'];
      await refused('--negative-prompt names an adapter', ...prompt, ...negative);
    }
    await refused('which does not end', '-p', 'a <lora:style:1', ...inFolder);
    await refused('must be a folder', '-p', 'a <lora:style:1>', '--lora-dir', path('style.safetensors'));
    await refused('twice: give it once', ...prompt, ...lora, ...lora);
    await refused('its scale must be a number', ...prompt, '--lora', `${path('style.safetensors')}:1000`);
    await refused('names other adapters', '-p', 'a <lora:style:1>', '-p', 'a dog', ...inFolder);
    await refused('none.pt', ...prompt, '--embedding', path('none.pt'));
  });

  test('prompts of a file name adapters', async () => {
    const file = ['--prompts', path('prompts.txt'), '--lora-dir', folder.path];
    expect(typeof (await psnr(...quality, ...file))).toBe('number');
  });
});
