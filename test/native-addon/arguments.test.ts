import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { native } from '../../lib/native/binding.js';
import type { NativeTextEncoder, NativeUnet, NativeVae } from '../../lib/native/types.js';
import { type Any, errorOf, rejects } from './rejects.js';
import { backend, denoiseRequest, loadTextEncoder, loadUnet, loadVae, noise, source } from './tiny-model.js';

// Wrong arguments give errors that name the argument, never a crash.

let unet: NativeUnet;
let encoder: NativeTextEncoder;
let vae: NativeVae;
beforeAll(async () => {
  unet = await loadUnet();
  encoder = await loadTextEncoder();
  vae = await loadVae();
});
afterAll(() => {
  for (const model of [unet, encoder, vae]) model.dispose();
});

function detached(length: number): Float32Array {
  const array = new Float32Array(length);
  structuredClone(array, { transfer: [array.buffer] });
  return array;
}

describe('forward', () => {
  const good = () => ({
    batch: 2,
    height: 8,
    width: 8,
    sample: noise(512),
    timesteps: [5],
    context: noise(2 * 3 * 32),
    contextLength: 3,
  });
  const forward = (changes: object) => () => unet.forward({ ...good(), ...changes } as Any);

  test('the request that the cases change is a good one', async () => {
    expect((await unet.forward(good()).promise).out).toHaveLength(512);
  });

  rejects([
    ['no request', () => (unet as Any).forward(), 'request must be an object, got undefined'],
    ['a string', () => (unet as Any).forward('x'), 'request must be an object, got a string'],
    ['batch 0', forward({ batch: 0 }), 'batch must be an integer from 1 to 1024, got 0'],
    ['a fraction', forward({ height: 8.5 }), 'height must be an integer from 1 to 8192, got 8.5'],
    ['NaN', forward({ width: Number.NaN }), /width must be an integer.*got nan/],
    ['a huge size', forward({ width: 1e300 }), /width must be an integer.*got 1e\+300/],
    ['a bigint', forward({ batch: 2n }), /batch must be an integer.*got a bigint/],
    [
      'a short sample',
      forward({ sample: new Float32Array(511) }),
      'sample must be a Float32Array of 2*4*8*8 = 512 values, got 511',
    ],
    ['a sample of doubles', forward({ sample: new Float64Array(512) }), /sample must be a Float32Array/],
    ['a plain array', forward({ sample: Array(512).fill(0) }), /sample must be a Float32Array.*an array/],
    ['a detached sample', forward({ sample: detached(512) }), /sample must be.*buffer is detached/],
    [
      'an infinite sample',
      forward({ sample: new Float32Array(512).fill(Infinity, 17, 18) }),
      'sample[17] is inf; values must be finite',
    ],
    ['no timesteps', forward({ timesteps: [] }), /timesteps must be an array of 1 or batch/],
    ['too many timesteps', forward({ timesteps: [1, 2, 3] }), /timesteps must be an array of at most 2/],
    ['a timestep of text', forward({ timesteps: [1, '2'] }), 'timesteps[1] must be a number, got a string'],
    ['an infinite timestep', forward({ timesteps: [Infinity] }), /timesteps\[0\] must be a finite number/],
    [
      'a context of another width',
      forward({ context: noise(2 * 3 * 31) }),
      /context must be.*2\*3\*32 = 192/,
    ],
    ['context length 0', forward({ contextLength: 0 }), /contextLength must be an integer/],
    ['unknown branch', forward({ features: [12] }), 'features[0] must be an integer from 0 to 11, got 12'],
    ['branch -1', forward({ retrieve: -1 }), 'retrieve must be an integer from 0 to 11, got -1'],
    ['features of a retrieve step', forward({ features: [1], retrieve: 1 }), /exclude each other/],
    ['retrieve before full', forward({ height: 16, sample: noise(1024), retrieve: 3 }), /needs a full pass/],
    ['taps: 1', forward({ taps: 1 }), 'taps must be true or false, got 1'],
    ['added conditions', forward({ timeIds: noise(12) }), /timeIds must be left out/],
  ]);

  test('what a getter throws is passed on', async () => {
    const thrown = new Error('from a getter');
    const request = Object.defineProperty(good(), 'sample', {
      get() {
        throw thrown;
      },
    });
    expect(await errorOf(() => unet.forward(request as Any))).toBe(thrown);
  });

  test('feature() of a branch that was not kept', async () => {
    await unet.forward({ ...good(), features: [1] }).promise;
    expect(unet.feature(1).shape).toEqual([2, 16, 8, 8]);
    expect((await errorOf(() => unet.feature(99))).message).toBe(
      'branch must be an integer from 0 to 11, got 99',
    );
    unet.trim();
    expect((await errorOf(() => unet.feature(1))).message).toMatch(
      /no full pass kept the feature of branch 1/,
    );
  });
});

describe('the text encoder', () => {
  const encode = (changes: object) => () =>
    encoder.encode({ ids: new Int32Array(154), batch: 2, ...changes } as Any);
  rejects([
    [
      'ids that do not fill the batch',
      encode({ batch: 3 }),
      /ids must be an Int32Array of batch \(3\) times/,
    ],
    ['too many ids', encode({ batch: 1 }), /times 1 to 77 token ids, got 154/],
    ['no ids', encode({ ids: new Int32Array(0) }), /ids must be an Int32Array of at least one value/],
    ['ids of floats', encode({ ids: new Float32Array(154) }), /ids must be an Int32Array/],
    [
      'an unknown token',
      encode({ ids: Int32Array.of(0, 1000), batch: 1 }),
      'ids[1] is 1000, outside of the vocabulary of 1000',
    ],
    ['a negative token', encode({ ids: Int32Array.of(-1), batch: 1 }), /ids\[0\] is -1/],
    ['skip 4 of 3', encode({ skip: 4 }), 'skip must be an integer from 0 to 3, got 4'],
    ['hidden state 4 of 3', encode({ hidden: [0, 4] }), 'hidden[1] must be an integer from 0 to 3, got 4'],
  ]);
});

describe('the autoencoder', () => {
  const encode = (changes: object) => () =>
    vae.encode({ data: noise(3 * 64), batch: 1, height: 8, width: 8, ...changes } as Any);
  rejects([
    [
      'an image smaller than a latent pixel',
      encode({ height: 7, data: noise(3 * 56) }),
      /height must be an integer from 8 to/,
    ],
    [
      'wrong data',
      encode({ data: noise(191) }),
      'data must be a Float32Array of 1*3*8*8 = 192 values, got 191',
    ],
    [
      'latents for an image',
      () => vae.decode({ data: noise(3), batch: 1, height: 1, width: 1 }),
      /1\*4\*1\*1 = 4 values, got 3/,
    ],
  ]);
});

describe('wrong objects', () => {
  const { loadUnet: load, Backend } = native();
  rejects([
    [
      'a plain object as backend',
      () =>
        load(
          {
            device: 'cpu',
            threads: 1,
            dtype: 'fp32',
            isa: '',
            availableMemory: () => 0,
            reserve: () => null,
          },
          source('unet'),
        ),
      /backend must be a Backend/,
    ],
    [
      'another native object as backend',
      () => load(unet as Any, source('unet')),
      /backend must be a Backend/,
    ],
    [
      'a prototype as backend',
      () => load(Object.create(backend), source('unet')),
      /backend must be a Backend/,
    ],
    [
      'null as backend',
      () => load(null as Any, source('unet')),
      'backend must be a Backend made by this addon, got null',
    ],
    ['no source', () => load(backend, undefined as Any), 'source must be an object, got undefined'],
    [
      'no files',
      () => load(backend, { config: '{}', files: [] }),
      /files must be a list of safetensors files/,
    ],
    [
      'a NUL in a path',
      () => load(backend, { config: '{}', files: ['a\0b'] }),
      /files\[0\] must be a path.*NUL/,
    ],
    [
      'new on an internal class',
      () => new (unet.constructor as Any)(),
      /no public constructor; use loadUnet\(\)/,
    ],
    [
      'a device of another kind',
      () => new Backend({ device: 'gpu', threads: 0 }),
      "device must be 'cpu', 'cuda' or 'cuda:<number>', got 'gpu'",
    ],
    [
      '-1 threads',
      () => new Backend({ device: 'cpu', threads: -1 }),
      'threads must be an integer from 0 to 1024, got -1',
    ],
  ]);

  test('a method of one class on an object of another', () => {
    for (const self of [backend, vae, {}, undefined]) {
      expect(() => unet.forward.call(self as Any, {} as Any)).toThrow(/Illegal invocation/);
    }
  });

  test('a constructor without new', () => {
    expect(() => (Backend as Any)({ device: 'cpu', threads: 1 })).toThrow(/new/);
  });

  test('after wrong calls the models work', async () => {
    expect((await unet.denoise(denoiseRequest(1)).promise).latents).toHaveLength(256);
  });
});

describe('files and configurations', () => {
  const { files, config } = source('unet');
  const load = (changes: object) => () => native().loadUnet(backend, { files, config, ...changes });
  rejects(
    [
      ['a missing file', load({ files: ['no/such/file.safetensors'] }), /no\/such\/file\.safetensors/],
      ['the weights of another model', load({ files: source('vae').files }), /lacks tensor/],
      ['a file that is none', load({ files: ['package.json'] }), /package\.json/],
    ],
    'ERR_DEEPCACHE_INVALID_WEIGHTS',
  );
  rejects(
    [
      ['no JSON', load({ config: '{' }), /unet config/],
      ['an empty configuration', load({ config: '{}' }), /block_out_channels/],
    ],
    'ERR_DEEPCACHE_INVALID_CONFIG',
  );
  rejects(
    [['another class', load({ config: config.replace('UNet2DConditionModel', 'UNet3D') }), /UNet3D/]],
    'ERR_DEEPCACHE_UNSUPPORTED',
  );
});
