import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { NativeTextEncoder, NativeUnet, NativeVae } from '../../lib/native/types.js';
import { golden, loadTextEncoder, loadUnet, loadVae, maxError } from './tiny-model.js';

// Against values that diffusers and DeepCache's helper computed in fp32.

test('the text encoder', async () => {
  const model: NativeTextEncoder = await loadTextEncoder();
  expect(model).toMatchObject({ width: 32, pooledWidth: 32, layers: 3, maxLength: 77, vocabularySize: 1000 });
  const ids = Int32Array.from(golden('text.ids').data);
  const { last, pooled, hidden } = await model.encode({ ids, batch: 2, hidden: [2, 0] }).promise;
  expect(maxError(last, golden('text.last').data)).toBeLessThan(2e-5);
  expect(maxError(pooled, golden('text.pooled').data)).toBeLessThan(2e-5);
  expect(hidden).toHaveLength(2);
  expect(maxError(hidden[0] as Float32Array, golden('text.hidden.2').data)).toBeLessThan(2e-5);

  // clip_skip leaves layers out before the final norm; the pooled output stays.
  const skipped = await model.encode({ ids, batch: 2, skip: 1 }).promise;
  expect(maxError(skipped.last, last)).toBeGreaterThan(1e-2);
  expect(maxError(skipped.pooled, pooled)).toBe(0);
  expect(model.memory().weights).toBeGreaterThan(100_000);
  model.dispose();
});

describe('the U-Net', () => {
  let model: NativeUnet;
  beforeAll(async () => {
    model = await loadUnet();
  });
  afterAll(() => model.dispose());

  test('describes itself', () => {
    expect(model).toMatchObject({
      inChannels: 4,
      outChannels: 4,
      contextWidth: 32,
      sampleHeight: 8,
      sampleWidth: 8,
      timeCondWidth: 0,
      levels: 4,
      layersPerBlock: [2, 2, 2, 2],
      branches: 12,
    });
  });

  const perSample = () => ({
    batch: 2,
    height: 8,
    width: 8,
    sample: golden('unet.sample').data,
    timesteps: [...golden('unet.timesteps').data],
    context: golden('unet.context').data,
    contextLength: 77,
  });

  test('a forward pass, each sample at a timestep of its own', async () => {
    const { out, taps } = await model.forward(perSample()).promise;
    expect(maxError(out, golden('unet.out').data)).toBeLessThan(1e-4);
    expect(taps).toBeUndefined();
  });

  test('taps are the labelled values of the pass', async () => {
    const { out, taps } = await model.forward({ ...perSample(), taps: true }).promise;
    const names = taps?.map(({ name }) => name);
    expect(names).toEqual(
      expect.arrayContaining(['time_embedding', 'mid_block', 'up_blocks.3.attentions.2']),
    );
    const last = taps?.find(({ name }) => name === 'conv_out');
    expect(last?.shape).toEqual([2, 8, 8, 4]);
    const nchw = last?.data.map((_, i) => {
      const [n, c, p] = [Math.floor(i / 256), Math.floor(i / 64) % 4, i % 64];
      return last.data[n * 256 + p * 4 + c] as number;
    });
    expect(nchw).toEqual(out);
  });

  test.each([0, 5, 11])('a retrieve step of branch %i after a full pass, on an odd size', async (branch) => {
    const [height, width] = [9, 13];
    const [first, second] = golden('deepcache.timesteps').data;
    const conditions = { context: golden('deepcache.context').data, contextLength: 77 };
    const shape = { batch: 1, height, width, ...conditions };
    const full = await model.forward({
      ...shape,
      sample: golden('deepcache.sample_full').data,
      timesteps: [first as number],
      features: [branch],
    }).promise;
    expect(maxError(full.out, golden('deepcache.out_full').data)).toBeLessThan(1e-4);
    const feature = model.feature(branch);
    expect(feature.shape).toEqual(golden(`deepcache.${branch}.feature`).shape);
    expect(maxError(feature.data, golden(`deepcache.${branch}.feature`).data)).toBeLessThan(1e-4);
    const retrieved = await model.forward({
      ...shape,
      sample: golden('deepcache.sample_retrieve').data,
      timesteps: [second as number],
      retrieve: branch,
    }).promise;
    expect(maxError(retrieved.out, golden(`deepcache.${branch}.out`).data)).toBeLessThan(1e-4);
  });
});

test('the autoencoder', async () => {
  const model: NativeVae = await loadVae();
  expect(model).toMatchObject({
    inChannels: 3,
    outChannels: 3,
    latentChannels: 4,
    scalingFactor: 0.18215,
    scale: 8,
  });
  const encoded = await model.encode({
    data: golden('vae.image').data,
    batch: 1,
    height: 70,
    width: 90,
  }).promise;
  expect(encoded.shape).toEqual([1, 8, 8, 11]);
  expect(maxError(encoded.data, golden('vae.moments').data)).toBeLessThan(2e-4);
  const decoded = await model.decode({
    data: golden('vae.latent').data,
    batch: 1,
    height: 9,
    width: 13,
    taps: true,
  }).promise;
  expect(decoded.shape).toEqual([1, 3, 72, 104]);
  expect(maxError(decoded.data, golden('vae.decoded').data)).toBeLessThan(2e-4);
  expect(decoded.taps?.map(({ name }) => name)).toContain('decoder.mid_block');
  expect(model.memory().peakArena).toBeGreaterThan(0);
  model.dispose();
});
