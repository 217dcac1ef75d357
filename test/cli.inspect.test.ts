import { cpSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { SafetensorsWriter } from '../weights-tools/safetensors-writer.js';
import { runCli } from './cli-run.js';

const MODEL = 'test/fixtures/sd15-tiny';
const UNET = 'unet/diffusion_pytorch_model.safetensors';

let model: string;
beforeEach(() => {
  model = mkdtempSync(join(tmpdir(), 'deepcache-inspect-'));
  cpSync(MODEL, model, { recursive: true });
});
afterEach(() => rmSync(model, { recursive: true }));

type Json = Record<string, unknown>;

function editJson(name: string, edit: (value: Json) => void): void {
  const path = join(model, name);
  const value = JSON.parse(readFileSync(path, 'utf8'));
  edit(value);
  writeFileSync(path, JSON.stringify(value));
}

/** Changes the header of a safetensors file and leaves its values alone. */
function editHeader(
  name: string,
  edit: (header: Record<string, { dtype: string; shape: number[] }>) => void,
): void {
  const path = join(model, name);
  const bytes = readFileSync(path);
  const length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + length));
  edit(header);
  const text = Buffer.from(JSON.stringify(header));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(text.length));
  writeFileSync(path, Buffer.concat([size, text, bytes.subarray(8 + length)]));
}

async function problemsOf(path = model): Promise<string[]> {
  const { code, out, err } = await runCli(['inspect', path, '--json']);
  expect(err).toBe('');
  const { problems, components = [] } = JSON.parse(out);
  const all = [...problems, ...components.flatMap((part: { problems: string[] }) => part.problems)];
  expect(code).toBe(all.length > 0 ? 1 : 0);
  return all;
}

describe('a model folder', () => {
  test('as JSON: its parts, the memory a run needs, the branches', async () => {
    const { code, out } = await runCli(['inspect', model, '--json']);
    expect(code).toBe(0);
    const report = JSON.parse(out);
    expect(report).toMatchObject({ className: 'StableDiffusionPipeline', scheduler: 'PNDMScheduler' });
    const unet = report.components.find((part: Json) => part.name === 'unet');
    expect(unet).toMatchObject({ className: 'UNet2DConditionModel', kind: 'unet', problems: [] });
    expect(unet.files).toEqual([{ name: 'diffusion_pytorch_model.safetensors', bytes: 4412120 }]);
    expect(unet.dtypes).toEqual({ F32: unet.parameters });
    expect(report.memory).toMatchObject({ width: 64, height: 64, large: { width: 128, height: 128 } });
    expect(report.memory.large.tiledDecoder).toBe(report.memory.decoder);
    expect(report.memory.large.decoder / report.memory.decoder).toBeGreaterThan(3);
    // Four bytes a value, and not much more for the way they are laid out.
    const parameters = report.components.reduce(
      (sum: number, part: Json) => sum + Number(part.parameters),
      0,
    );
    expect(report.memory.weights / (4 * parameters)).toBeGreaterThanOrEqual(1);
    expect(report.memory.weights / (4 * parameters)).toBeLessThan(1.6);
    expect(report.branches).toHaveLength(12);
    expect(report.branches[0]).toMatchObject({ featureShape: [2, 16, 8, 8], featureBytes: 2 * 16 * 64 * 4 });
    expect(report.branches[11].feature).toBe('mid_block');
  });

  test('as text', async () => {
    const { code, out } = await runCli(['inspect', model]);
    expect(code).toBe(0);
    expect(out).toMatch(/^text_encoder {2}CLIPTextModel +72\.6 k +F32 +296 kB {2}model\.safetensors$/m);
    expect(out).toMatch(/^ +0 +8\.6 % {2}2x16x8x8 +8\.2 kB {2}up_blocks/m);
    expect(out).toMatch(/no problems found\n$/);
  });
});

describe('problems', () => {
  test('a truncated file', async () => {
    truncateSync(join(model, UNET), 4_000_000);
    expect(await problemsOf()).toEqual([expect.stringMatching(/diffusion_pytorch_model.*truncated/)]);
    expect((await runCli(['inspect', model])).out).toMatch(/\n1 problem:\n {2}- unet: .*truncated/);
  });

  test('a tensor of another shape', async () => {
    editHeader(UNET, (header) => header['conv_in.weight']?.shape.reverse());
    expect(await problemsOf()).toEqual([
      '1 tensor of another shape than the configuration asks for: conv_in.weight is [3, 3, 4, 16], expected [16, 4, 3, 3]',
    ]);
  });

  test('tensors that are missing, unexpected, or of a type without numbers', async () => {
    editHeader(UNET, (header) => {
      header.other = header['conv_in.weight'] as never;
      delete header['conv_in.weight'];
      (header['conv_in.bias'] as { dtype: string }).dtype = 'I32';
    });
    expect(await problemsOf(join(model, 'unet'))).toEqual([
      '1 tensor missing: conv_in.weight [16, 4, 3, 3]',
      expect.stringMatching(/^1 tensor of a type that cannot be computed with .*: conv_in.bias is I32$/),
      '1 tensor that the configuration does not ask for: other',
    ]);
  });

  test('a linear layer stored as a 1x1 convolution and names of old autoencoders are none', async () => {
    editHeader('vae/diffusion_pytorch_model.safetensors', (header) => {
      for (const [now, former] of [
        ['to_q', 'query'],
        ['to_k', 'key'],
        ['to_v', 'value'],
        ['to_out.0', 'proj_attn'],
      ]) {
        for (const half of ['encoder', 'decoder']) {
          const name = `${half}.mid_block.attentions.0.${now}.weight`;
          const tensor = header[name] as { dtype: string; shape: number[] };
          tensor.shape.push(1, 1);
          header[name.replace(now as string, former as string)] = tensor;
          delete header[name];
        }
      }
    });
    expect(await problemsOf()).toEqual([]);
  });

  test('a configuration that contradicts the weights', async () => {
    editJson('unet/config.json', (config) => {
      config.block_out_channels = [16, 32, 40, 48];
    });
    expect(await problemsOf()).toEqual([
      expect.stringMatching(/^2 tensors missing: down_blocks\.3\.resnets\.0\.conv_shortcut/),
      expect.stringMatching(/^106 tensors of another shape .*; and 101 more$/),
    ]);
  });

  test('missing folders and files', async () => {
    rmSync(join(model, 'vae'), { recursive: true });
    rmSync(join(model, 'tokenizer/merges.txt'));
    rmSync(join(model, UNET));
    rmSync(join(model, 'scheduler/scheduler_config.json'));
    expect((await problemsOf()).sort()).toEqual([
      expect.stringMatching(/scheduler_config\.json: cannot be read/),
      expect.stringMatching(/merges\.txt: is missing/),
      expect.stringMatching(/unet has no diffusion_pytorch_model\.safetensors/),
      'the folder vae is missing',
    ]);
  });

  test('parts that do not belong together', async () => {
    editJson('unet/config.json', (config) => {
      config.cross_attention_dim = 48;
    });
    editJson('vae/config.json', (config) => {
      config.latent_channels = 8;
    });
    editJson('text_encoder/config.json', (config) => {
      config.vocab_size = 900;
    });
    const problems = await problemsOf();
    expect(problems).toContain('the text encoder is 32 wide, the U-Net reads 48');
    expect(problems).toContain('the autoencoder has 8 latent channels, the U-Net makes 4');
    expect(problems.join('\n')).toMatch(
      /tokenizer has ids up to 999, text_encoder knows 900 tokens: "<\|endoftext\|>"/,
    );
  });

  test('an inpainting U-Net in a pipeline for text', async () => {
    editJson('unet/config.json', (config) => {
      config.in_channels = 9;
    });
    expect((await problemsOf()).join('\n')).toMatch(/inpainting model.*StableDiffusionInpaintPipeline/);
  });

  test("means of an autoencoder's latents that do not fit", async () => {
    editJson('vae/config.json', (config) => {
      config.latents_mean = [1, 2];
      config.latents_std = [1, 1, 1, 1];
    });
    expect((await problemsOf()).join('\n')).toMatch(/vae.config\.json.*latents_mean/);
  });

  test('names that a compiled model has, and a whole CLIP model are none; unknown fields are noted', async () => {
    editHeader(UNET, (header) => {
      for (const name of Object.keys(header)) {
        if (name === '__metadata__') continue;
        header[`_orig_mod.${name}`] = header[name] as never;
        delete header[name];
      }
    });
    editJson('text_encoder/config.json', (config) => {
      config.text_config = { ...config };
      Object.assign(config, { architectures: ['CLIPModel'], model_type: 'clip' });
    });
    editJson('unet/config.json', (config) => {
      config.new_trick = 1;
    });
    expect(await problemsOf()).toEqual([]);
    expect((await runCli(['inspect', model])).out).toMatch(/note +unet.config\.json: "new_trick"/);
  });

  test('what is not implemented', async () => {
    editJson('model_index.json', (index) => {
      index._class_name = 'PaintingPipeline';
      index.painter = ['diffusers', 'Painter'];
      index.scheduler = ['diffusers', 'MagicScheduler'];
    });
    expect(await problemsOf()).toEqual([
      'this version has no PaintingPipeline',
      expect.stringMatching(
        /scheduler_config\.json: the model's own sampler, "MagicScheduler", is not implem/,
      ),
      'the folder painter is missing',
    ]);
  });
});

describe('a file', () => {
  test('its tensors and metadata', async () => {
    const { code, out } = await runCli(['inspect', join(model, UNET)]);
    expect(code).toBe(0);
    expect(out).toMatch(/^conv_in\.weight +F32 +\[16, 4, 3, 3\] +2\.3 kB$/m);
    const json = await runCli(['inspect', join(model, UNET), '--json']);
    expect(JSON.parse(json.out).tensors).toContainEqual({
      name: 'conv_in.weight',
      dtype: 'F32',
      shape: [16, 4, 3, 3],
      bytes: 2304,
    });
  });

  test('damaged, or no model at all', async () => {
    truncateSync(join(model, UNET), 5);
    expect(await runCli(['inspect', join(model, UNET)])).toMatchObject({
      code: 1,
      err: expect.stringContaining('[ERR_DEEPCACHE_INVALID_WEIGHTS]'),
    });
    for (const path of [join(model, 'tokenizer'), join(model, 'none')]) {
      const { code, err } = await runCli(['inspect', path]);
      expect(err).toMatch(/\[ERR_DEEPCACHE_INVALID_CONFIG\]\n$/);
      expect(code).toBe(1);
    }
  });
});

test('devices: the CPU, and each GPU or the reason why not', async () => {
  const { code, out } = await runCli(['inspect', 'devices']);
  expect(code).toBe(0);
  expect(out).toMatch(/^cpu .*: available\n/);
  const devices = JSON.parse((await runCli(['inspect', 'devices', '--json'])).out);
  expect(devices.length).toBeGreaterThan(1);
  for (const { device, available, reason } of devices.slice(1)) {
    expect(device).toMatch(/^cuda/);
    if (!available) expect(out).toContain(`not available: ${reason}`);
  }
});

describe('--check-weights', () => {
  const special: [string, 'F32' | 'F16' | 'BF16', Uint8Array][] = [
    ['nan', 'F32', new Uint8Array(Float32Array.of(1, Number.NaN, 3, Number.NaN).buffer)],
    ['infinite', 'F16', new Uint8Array(Uint16Array.of(0x7c00, 0x3c00, 0xfbff, 0x0001).buffer)],
    ['bf', 'BF16', new Uint8Array(Uint16Array.of(0xff80, 0x7f7f, 0, 0).buffer)],
    ['fine', 'F32', new Uint8Array(Float32Array.of(3.4e38, -3.4e38, 0, 1e-45).buffer)],
  ];

  test('names tensors with values that are no numbers', async () => {
    const path = join(model, 'x.safetensors');
    const tensors = special.map(([name, dtype, { length }]) => ({ name, dtype, shape: [4], bytes: length }));
    const writer = await SafetensorsWriter.create(path, tensors, {});
    for (const [, , data] of special) await writer.write(data);
    await writer.finish();
    expect((await runCli(['inspect', path])).code).toBe(0);
    const { code, out } = await runCli(['inspect', path, '--check-weights']);
    expect(code).toBe(1);
    expect(out).toContain(
      '3 tensors with values that are infinite or not numbers: nan (2 of its values); infinite (1 of its values); bf (1 of its values)',
    );
    const json = JSON.parse((await runCli(['inspect', path, '--check-weights', '--json'])).out);
    expect(json.problems).toHaveLength(1);
  });

  test('of a model', async () => {
    const { code, out } = await runCli(['inspect', 'test/fixtures/sd15-tiny', '--check-weights']);
    expect(code).toBe(0);
    expect(out).toContain('no problems found');
  });
});
