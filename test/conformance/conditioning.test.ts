import { describe, expect, test } from '@jest/globals';
import { AutoencoderKL } from '../../lib/models/autoencoder-kl.js';
import { FolderSource } from '../../lib/models/folder-source.js';
import { openBackend } from '../../lib/native/device.js';
import { distance } from '../pipelines/tiny.js';
import { compareValues } from './compare.js';
import { besideMovement, besideRuns, DisturbedFolders, mayBeConditioning } from './conditioning.js';

const at = (relative: number, limit = 0.01) => compareValues('x', [1 + relative], [1], { rel_l2: limit });

describe('ill-conditioned cases', () => {
  test('may be as far off as three times what disturbed weights move them', () => {
    const movement = [[at(0.005)], [at(0.01)]];
    expect(besideMovement([at(0.029)], movement)[0]?.ok).toBe(true);
    expect(besideMovement([at(0.031)], movement)[0]?.ok).toBe(false);
    expect(besideMovement([at(Number.NaN)], movement)[0]?.ok).toBe(false);
  });

  test('but never by a quarter', () => {
    expect(besideMovement([at(0.26)], [[at(0.2)]])[0]?.ok).toBe(false);
    expect(besideMovement([at(0.24)], [[at(0.2)]])[0]?.ok).toBe(true);
  });

  test('are held against one run after the other, until they explain it', async () => {
    let asked = 0;
    const runs = async function* () {
      for (const moved of [0.001, 0.005, 0.01, 0.02]) {
        asked++;
        yield [at(moved)];
      }
    };
    expect((await besideRuns([at(0.029)], runs()))[0]?.ok).toBe(true);
    expect(asked).toBe(3);
    const [held] = await besideRuns([at(0.07)], runs());
    expect(held).toMatchObject({ ok: false, detail: expect.stringMatching(/moves? it by 0\.0200$/) });
    expect(asked).toBe(7);
  });

  test('are only those whose distance is too large', () => {
    expect(mayBeConditioning([at(0.5), at(0.001)])).toBe(true);
    expect(mayBeConditioning([at(0.5), { role: 'full_step', ok: false, detail: '' }])).toBe(false);
    expect(mayBeConditioning([])).toBe(false);
  });
});

test('disturbed weights are off by a rounding, and others with another seed', async () => {
  const latents = { shape: [1, 4, 4, 4], data: Float32Array.from({ length: 64 }, (_, i) => Math.sin(i)) };
  const decode = async (folder: string) => {
    const found = await new FolderSource(folder).network('');
    const vae = await AutoencoderKL.load(openBackend({ device: 'cpu' }), found);
    return (await vae.decode(latents)).data;
  };
  const folder = 'test/fixtures/sd15-tiny/vae';
  const exact = await decode(folder);
  const [first, second] = [new DisturbedFolders('fp16', 1), new DisturbedFolders('fp16', 2)];
  try {
    const off = await decode(await first.copyOf(folder));
    expect(distance(off, exact)).toBeGreaterThan(1e-4);
    expect(distance(off, exact)).toBeLessThan(5e-3);
    expect(distance(off, await decode(await second.copyOf(folder)))).toBeGreaterThan(1e-4);
    expect(await first.copyOf(folder)).toBe(await first.copyOf(folder));
  } finally {
    first.dispose();
    second.dispose();
  }
});
