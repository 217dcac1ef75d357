import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { native } from '../../lib/native/binding.js';
import type { NativeUnet, UnetConditions } from '../../lib/native/types.js';
import { type Any, rejects } from './rejects.js';
import { backend, loadUnet, maxError, noise, source } from './tiny-model.js';

// What conditions a U-Net besides its text: classes, image embeddings, masks of tokens.

const SIZE = { batch: 2, height: 8, width: 8, timesteps: [5] };
const request = () => ({ ...SIZE, sample: noise(512), context: noise(2 * 3 * 32), contextLength: 3 });

describe('a U-Net of text alone', () => {
  let unet: NativeUnet;
  beforeAll(async () => {
    unet = await loadUnet();
  });
  afterAll(() => unet.dispose());
  const forward = (changes: Partial<UnetConditions>) => () =>
    unet.forward({ ...request(), ...changes } as Any);

  test('has neither classes nor images', () => {
    expect([unet.classWidth, unet.classCount, unet.imageWidth]).toEqual([0, 0, 0]);
    expect(unet.layersPerBlock).toEqual([2, 2, 2, 2]);
  });

  test('does not read masked tokens', async () => {
    const { out } = await unet.forward({
      ...request(),
      contextMask: Float32Array.of(1, 0, 1, 1, 0, 1),
    }).promise;
    const context = request().context.filter((_, i) => Math.floor(i / 32) % 3 !== 1);
    const without = await unet.forward({ ...request(), context, contextLength: 2 }).promise;
    expect(maxError(out, without.out)).toBe(0);
    const all = await unet.forward({ ...request(), contextMask: new Float32Array(6).fill(1) }).promise;
    expect(maxError(all.out, out)).toBeGreaterThan(1e-3);
  });

  rejects([
    ['a class', forward({ classLabels: noise(2) }), /classLabels must be left out.*has no classes/],
    ['an image', forward({ imageEmbeds: noise(2) }), /imageEmbeds must be left out.*no image embeddings/],
    ['a short mask', forward({ contextMask: new Float32Array(5) }), /contextMask must be.*2\*3 = 6/],
    ['half a token', forward({ contextMask: new Float32Array(6).fill(0.5) }), /contextMask.*zeros and ones/],
  ]);
});

describe('a U-Net of class vectors', () => {
  let unet: NativeUnet;
  beforeAll(async () => {
    const { config, files } = source('unet');
    const changed = JSON.stringify({ ...JSON.parse(config), class_embed_type: 'identity' });
    unet = await native().loadUnet(backend, { config: changed, files }).promise;
  });
  afterAll(() => unet.dispose());

  test('needs a vector for each sample, and obeys it', async () => {
    const width = unet.classWidth;
    expect([width, unet.classCount]).toEqual([4 * 16, 0]);
    const outputOf = async (classLabels: Float32Array) =>
      (await unet.forward({ ...request(), classLabels }).promise).out;
    const [none, other] = [await outputOf(new Float32Array(2 * width)), await outputOf(noise(2 * width))];
    expect(maxError(none, other)).toBeGreaterThan(1e-3);
  });

  rejects([
    ['no vector', () => unet.forward(request() as Any), /classLabels must be a Float32Array/],
    [
      'a vector of another width',
      () => unet.forward({ ...request(), classLabels: noise(3) } as Any),
      /classLabels must be.*2\*64 = 128/,
    ],
  ]);
});
