import { expect, test } from '@jest/globals';
import { native } from '../../lib/native/binding.js';
import type { NativeTextEncoder, NativeUnet, NativeVae } from '../../lib/native/types.js';
import { codeOf, denoiseRequest, loadTextEncoder, loadUnet, loadVae, noise } from './tiny-model.js';

// Getters of a request that change what is being used: values are read once, and checked when all have been read.

const DISPOSED = 'ERR_DEEPCACHE_DISPOSED';
const INVALID = 'ERR_DEEPCACHE_INVALID_ARGUMENT';

interface Model {
  dispose(): void;
}
interface Entry {
  load(): Promise<Model>;
  request(): Record<string, unknown>;
  /** An array that the model reads, which may be left out when it is resized. */
  array: string;
  call(model: Model, request: object): { promise: Promise<unknown> };
}

const vaeRequest = (channels: number, side: number) => ({
  batch: 1,
  height: side,
  width: side,
  data: noise(channels * side * side),
  taps: false,
});

const ENTRIES: Record<string, Entry> = {
  forward: {
    load: loadUnet,
    request: () => {
      const { batch, height, width, latents, context, contextLength } = denoiseRequest(1);
      return { batch, height, width, sample: latents, timesteps: [1], context, contextLength };
    },
    array: 'sample',
    call: (model, request) => (model as NativeUnet).forward(request as never),
  },
  denoise: {
    load: loadUnet,
    request: () => denoiseRequest(2),
    array: 'latents',
    call: (model, request) => (model as NativeUnet).denoise(request as never),
  },
  decode: {
    load: loadVae,
    request: () => ({ ...vaeRequest(4, 8), quantize: true }),
    array: 'data',
    call: (model, request) => (model as NativeVae).decode(request as never),
  },
  'encode a picture': {
    load: loadVae,
    request: () => vaeRequest(3, 64),
    array: 'data',
    call: (model, request) => (model as NativeVae).encode(request as never),
  },
  'encode a text': {
    load: loadTextEncoder,
    request: () => ({ ids: new Int32Array(77), batch: 1, skip: 0, hidden: [0] }),
    array: 'ids',
    call: (model, request) => (model as NativeTextEncoder).encode(request as never),
  },
};

/** The same request, with something that happens when a field is read. */
function whenRead(request: Record<string, unknown>, field: string, happens: () => void): object {
  const value = request[field];
  return Object.defineProperty({ ...request }, field, {
    enumerable: true,
    get: () => {
      happens();
      return value;
    },
  });
}

/** Objects that would take the place of what was freed. */
function churn(): void {
  for (let i = 0; i < 200; i++) new (native().Generator)(1n);
}

test.each(Object.keys(ENTRIES))('%s: a getter that disposes of the model', async (name) => {
  const { load, request, call } = ENTRIES[name] as Entry;
  for (const field of Object.keys(request())) {
    const model = await load();
    const bad = whenRead(request(), field, () => {
      model.dispose();
      churn();
    });
    expect(await codeOf(() => call(model, bad).promise)).toBe(DISPOSED);
  }
});

test.each(Object.keys(ENTRIES))('%s: a getter that takes an array away', async (name) => {
  const { load, request, call, array } = ENTRIES[name] as Entry;
  const model = await load();
  for (const field of Object.keys(request())) {
    const given = request();
    const { buffer } = given[array] as Float32Array<ArrayBuffer>;
    // Read before, or found to be gone.
    const bad = whenRead(given, field, () => structuredClone(buffer, { transfer: [buffer] }));
    expect(['none', INVALID]).toContain(await codeOf(() => call(model, bad).promise));
  }
  model.dispose();
});

test.each(Object.keys(ENTRIES))('%s: arrays that shrink, grow, or are shared', async (name) => {
  const { load, request, call, array } = ENTRIES[name] as Entry;
  const model = await load();
  for (const field of Object.keys(request())) {
    const given = request();
    const original = given[array] as Float32Array | Int32Array;
    const View = original.constructor as Float32ArrayConstructor;
    // Newer than the types: V8 has it since Node.js 20.
    const Resizable = ArrayBuffer as unknown as new (
      bytes: number,
      options: object,
    ) => ArrayBuffer & { resize(bytes: number): void };
    for (const factor of [0, 0.5, 2]) {
      const buffer = new Resizable(original.byteLength, { maxByteLength: 4 * original.byteLength });
      const view = new View(buffer);
      view.set(original);
      const changing = whenRead({ ...given, [array]: view }, field, () =>
        buffer.resize(factor * original.byteLength),
      );
      const code = await codeOf(() => call(model, changing).promise);
      // A text may have any number of tokens that the model takes.
      expect(['none', INVALID]).toContain(code);
    }
    const shared = new View(new SharedArrayBuffer(original.byteLength) as unknown as ArrayBuffer);
    shared.set(original);
    expect(await codeOf(() => call(model, { ...given, [array]: shared }).promise)).toBe('none');
  }
  model.dispose();
});

test.each(Object.keys(ENTRIES))('%s: getters that throw, change their mind, or call again', async (name) => {
  const { load, request, call } = ENTRIES[name] as Entry;
  const model = await load();
  for (const field of Object.keys(request())) {
    const mine = Object.assign(new Error('mine'), { code: 'MINE' });
    const throwing = whenRead(request(), field, () => {
      throw mine;
    });
    expect(await codeOf(() => call(model, throwing).promise)).toBe('MINE');
    const values = [request()[field], 'something else', null];
    let reads = 0;
    const fickle = Object.defineProperty(request(), field, { get: () => values[reads++ % 3] });
    expect(['none', INVALID]).toContain(await codeOf(() => call(model, fickle).promise));
    const inner: Promise<unknown>[] = [];
    const nested = whenRead(request(), field, () => inner.push(call(model, request()).promise));
    expect(await codeOf(() => call(model, nested).promise)).toBe('none');
    await Promise.all(inner);
  }
  model.dispose();
});

test('methods belong to the objects of their class', async () => {
  const [unet, vae] = await Promise.all([loadUnet(), loadVae()]);
  const { forward } = Object.getPrototypeOf(unet) as NativeUnet;
  for (const receiver of [vae, {}, Object.create(unet), null, undefined, new (native().Generator)(1n)]) {
    expect(() => forward.call(receiver as never, ENTRIES.forward?.request() as never)).toThrow();
  }
  unet.dispose();
  vae.dispose();
});
