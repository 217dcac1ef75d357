import { createHash } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { Image } from '../../lib/images/image.js';
import { resizeLanczos } from '../../lib/images/resize.js';

/** A picture that looks like noise, and that any language can make. */
function noise(width: number, height: number): Image {
  const value = (i: bigint) => Number((((i * 2654435761n) >> 7n) ^ ((i >> 3n) * 40503n)) & 255n);
  const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => value(BigInt(i)));
  return new Image({ width, height, data });
}

// From Pillow 9.4: Image.fromarray(noise).resize((width, height), Image.LANCZOS), the first 16 digits of the SHA-256
// of its bytes, and its first pixels.
test.each([
  ['half', [16, 16], [8, 8], 'ba41376a014a92ad', [132, 173, 176, 140, 117, 129, 113, 113, 103]],
  ['double', [16, 16], [32, 32], 'dc1a151644408030', [0, 244, 235, 23, 243, 233, 176, 237, 223]],
  ['up, other shape', [13, 7], [64, 48], '09ba595752329651', [0, 255, 224, 0, 255, 222, 0, 255, 220]],
  ['down, odd', [64, 48], [13, 7], '98c479b364b4abc0', [127, 135, 124, 123, 104, 110, 128, 126, 137]],
  ['both down', [100, 75], [64, 64], 'e12f11e057426cbd', [107, 223, 236, 221, 188, 178, 160, 158, 100]],
  ['eight times', [64, 64], [512, 512], '875fc041608ca533', [0, 255, 255, 0, 255, 255, 0, 255, 255]],
  ['a photo', [333, 257], [256, 256], '21f76e6ad620ffa1', [52, 238, 220, 214, 184, 190, 177, 177, 97]],
  ['one pixel', [1, 1], [8, 8], 'd14f68a6459963bd', [0, 243, 230, 0, 243, 230, 0, 243, 230]],
  ['one axis up', [7, 5], [7, 40], '81f9b1a92b56f15b', [0, 255, 241, 244, 230, 236, 224, 197, 203]],
  ['one axis down', [200, 120], [8, 120], 'd9039acd3e05e95a', [136, 141, 142, 114, 123, 123, 109, 111, 126]],
  ['a little each way', [50, 50], [51, 49], '82c74e23979299ca', [0, 239, 228, 210, 207, 190, 181, 164, 171]],
  ['up and down', [3, 200], [64, 8], '7d2a931efb3ba453', [106, 128, 137, 106, 128, 137, 106, 128, 137]],
] as const)(
  'resizes like Pillow: %s',
  async (_name, [fromWidth, fromHeight], [width, height], hash, first) => {
    const image = await resizeLanczos(noise(fromWidth, fromHeight), width, height);
    expect([...image.data.subarray(0, 9)]).toEqual(first);
    expect(createHash('sha256').update(image.data).digest('hex').slice(0, 16)).toBe(hash);
    expect(image).toMatchObject({ width, height });
  },
);

test('the same size is the same picture', async () => {
  const image = noise(5, 4);
  expect(await resizeLanczos(image, 5, 4)).toBe(image);
});

test('metadata stays', async () => {
  const { width, height, data } = noise(4, 4);
  const image = new Image({ width, height, data, metadata: { parameters: 'a cat' } });
  expect((await resizeLanczos(image, 8, 8)).metadata).toEqual({ parameters: 'a cat' });
});
