import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { InceptionV3 } from '../../lib/fid/index.js';
import type { Image } from '../../lib/images/image.js';
import { relativeL2 } from '../../lib/metrics/index.js';
import { AdapterFolder, type Tensors } from '../adapters/adapter-files.js';
import { rejection } from '../pipelines/tiny.js';
import { Tensor, torchZip } from '../weights/torch-writer.js';
import { floats, inceptionTensors, picture, type RecordedInception, recorded } from './inception-files.js';

const { sizes, features } = recorded<RecordedInception>('inception.json');
const folder = new AdapterFolder();
let tensors: Tensors;
let file: string;
beforeAll(() => {
  tensors = inceptionTensors();
  file = folder.write('inception.safetensors', tensors);
});
afterAll(() => folder.remove());

const pictures = sizes.map(([height, width], i) => picture(height, width, i + 1));

test('features are those of another implementation', async () => {
  using inception = await InceptionV3.fromPretrained(file, { threads: 2 });
  expect(inception.width).toBe(2048);
  // 21.8 million weights in fp32.
  expect(inception.weightBytes).toBeGreaterThan(87e6);
  expect(inception.weightBytes).toBeLessThan(95e6);
  const found = await inception.features(pictures);
  expect(found).toHaveLength(3 * 2048);
  for (const [i, text] of features.entries()) {
    const wanted = floats(text);
    expect(relativeL2(found.subarray(i * 2048, (i + 1) * 2048), wanted)).toBeLessThan(2e-6);
    // Features differ from picture to picture by much more.
    expect(relativeL2(floats(features[(i + 1) % 3] as string), wanted)).toBeGreaterThan(0.01);
  }
  // One by one they are the same.
  const [, second] = pictures as [Image, Image];
  expect(await inception.features([second])).toEqual(found.slice(2048, 4096));
  expect(await inception.features([])).toHaveLength(0);
  const gone = new AbortController();
  gone.abort();
  await expect(inception.features(pictures, gone.signal)).rejects.toThrow(/abort/);
});

test('a pickle of torch is the same network', async () => {
  const stored = Object.entries(tensors).map(([name, { data }], i) => [`${i}`, name, data] as const);
  const bytes = torchZip(
    Object.fromEntries(
      stored.map(([key, name]) => [
        name,
        new Tensor({
          key,
          shape: tensors[name]?.shape as number[],
          values: tensors[name]?.data.length as number,
        }),
      ]),
    ),
    Object.fromEntries(stored.map(([key, , data]) => [key, Buffer.from(data.buffer)])),
  );
  const { writeFileSync } = await import('node:fs');
  const path = `${folder.path}/inception.pth`;
  writeFileSync(path, bytes);
  using inception = await InceptionV3.fromPretrained(path, { threads: 2 });
  const found = await inception.features(pictures.slice(0, 1));
  expect(relativeL2(found, floats(features[0] as string))).toBeLessThan(2e-6);
});

test.each<[string, (tensors: Tensors) => Tensors, RegExp]>([
  [
    "torchvision's own network",
    (all) => ({ ...all, 'AuxLogits.fc.bias': { shape: [1000], data: new Float32Array(1000) } }),
    /is torchvision's Inception v3.*pt_inception-2015-12-05-6726825d.pth is/,
  ],
  [
    'another number of classes',
    (all) => ({ ...all, 'fc.weight': { shape: [10, 2048], data: new Float32Array(20480) } }),
    /is a network of 10 classes; FID's has 1008/,
  ],
  [
    'a missing convolution',
    ({ 'Mixed_6b.branch7x7_2.conv.weight': _, ...rest }) => rest,
    /lacks tensor "Mixed_6b.branch7x7_2.conv.weight" of shape \[128, 128, 1, 7\]/,
  ],
  [
    'a missing batch norm',
    ({ 'Mixed_5c.branch1x1.bn.running_var': _, ...rest }) => rest,
    /lacks the tensor "Mixed_5c.branch1x1.bn.running_var" of 64 values, the batch norm of "Mixed_5c.branch1x1.conv.weight"/,
  ],
  [
    'a batch norm of another width',
    (all) => ({ ...all, 'Mixed_5c.branch1x1.bn.bias': { shape: [3], data: new Float32Array(3) } }),
    /has 3 values in the tensor "Mixed_5c.branch1x1.bn.bias" of 64 values/,
  ],
  ['something else', () => ({ a: { shape: [1], data: new Float32Array(1) } }), /lacks tensor "Conv2d_1a_3x3/],
])('is refused by name: %s', async (_, change, message) => {
  const path = folder.write('wrong.safetensors', change(tensors));
  const error = await rejection(InceptionV3.fromPretrained(path));
  expect(error.code).toBe('ERR_DEEPCACHE_INVALID_WEIGHTS');
  expect(error.message).toContain(path);
  expect(error.message).toMatch(message);
});

test('a network that makes no numbers is said', async () => {
  const name = 'Mixed_7a.branch3x3_2.bn.running_var';
  const wrong = { ...tensors, [name]: { shape: [320], data: new Float32Array(320).fill(-1) } };
  using inception = await InceptionV3.fromPretrained(folder.write('nan.safetensors', wrong), { threads: 2 });
  const error = await rejection(inception.features(pictures.slice(0, 1)));
  expect(error.code).toBe('ERR_DEEPCACHE_NOT_FINITE');
  expect(error.message).toMatch(/Mixed_7a.branch3x3_2/);
});
