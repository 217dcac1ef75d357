import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Image, type StableDiffusionPipeline, Upscaler } from '../../lib/index.js';
import {
  type EngineNetworks,
  ImageEngine,
  type Job,
  type JobRequest,
} from '../../lib/server/engine/index.js';
import type { AdapterFolder } from '../adapters/adapter-files.js';
import { FOLDER, latentsOf, loadTiny, numbersOf, rejection, SIZE, sameBits } from '../pipelines/tiny.js';
import { until } from '../until.js';
import { makeNetworks } from './made-networks.js';

// What jobs use besides their model, by names: what they make is what a pipeline makes with the same files.

let folder: AdapterFolder;
let networks: Required<EngineNetworks>;
let pipe: StableDiffusionPipeline;
let engine: ImageEngine;
const log: string[] = [];
beforeAll(async () => {
  ({ folder, networks } = await makeNetworks());
  pipe = await loadTiny();
});
beforeEach(() => {
  log.length = 0;
  engine = new ImageEngine({ models: { tiny: FOLDER }, networks, log: (line) => void log.push(line) });
});
afterEach(() => engine.close());
afterAll(async () => {
  await pipe.dispose();
  folder.remove();
});

const request = (options: object = {}, used?: JobRequest['networks']): JobRequest => ({
  model: 'tiny',
  task: 'text-to-image',
  options: { prompt: 'a lighthouse', steps: 3, seed: 7, output: 'latent', ...options },
  ...(used && { networks: used }),
});
const latents = async (job: Promise<Job>) => numbersOf(await (await job).result);
const picture = {
  data: new Float32Array(3 * SIZE * SIZE).map((_, i) => (i % 7) / 7),
  shape: [1, 3, SIZE, SIZE],
};

describe('adapters', () => {
  const withLoras = async (uses: readonly { name: string; scale?: number }[], options: object = {}) => {
    for (const { name } of uses) await pipe.loadLora(networks.loras[name] as string, { name, scale: 0 });
    await pipe.setLoras(uses);
    const made = await latentsOf(pipe, options);
    await pipe.unloadLora();
    return made;
  };

  test('count for their jobs alone, and nothing is left of them', async () => {
    const plain = await latentsOf(pipe);
    const expected = [
      await withLoras([{ name: 'ink', scale: 0.8 }]),
      await withLoras([{ name: 'ink', scale: -0.5 }, { name: 'chalk' }]),
      plain,
      await withLoras([{ name: 'ink', scale: 0.8 }]),
      plain,
    ];
    const sets = [
      [{ name: 'ink', scale: 0.8 }],
      [{ name: 'chalk' }, { name: 'ink', scale: -0.5 }],
      [],
      [
        { name: 'ink', scale: 0.8 },
        { name: 'chalk', scale: 0 },
      ],
      undefined,
    ];
    // All at once: they wait for each other.
    const jobs = await Promise.all(
      [...sets, ...sets].map((loras) => engine.submit(request({}, loras && { loras }))),
    );
    for (const [i, job] of jobs.entries()) {
      const made = numbersOf(await job.result);
      expect([i, sameBits(made, expected[i % sets.length] as Float32Array)]).toEqual([i, true]);
    }
    expect(sameBits(expected[0] as Float32Array, plain)).toBe(false);
    expect(sameBits(expected[1] as Float32Array, expected[0] as Float32Array)).toBe(false);
  });

  test('of the same set share passes', async () => {
    const loras = [{ name: 'ink', scale: 0.8 }];
    // So long that none ends before the others are there, however late they come.
    const jobs = await Promise.all(
      Array.from({ length: 4 }, (_, seed) => engine.submit(request({ steps: 900, seed }, { loras }))),
    );
    // Each has two samples.
    await until(() => engine.stats().samples > 2 * engine.stats().passes);
    for (const job of jobs) job.cancel();
    await Promise.allSettled(jobs.map(({ result }) => result));
  });

  test('are named in prompts, too', async () => {
    const expected = await withLoras([{ name: 'ink', scale: 0.8 }], { prompt: 'a lighthouse ' });
    const tagged = request({ prompt: 'a lighthouse <lora:ink:0.8>', loraSyntax: true });
    expect(sameBits(await latents(engine.submit(tagged)), expected)).toBe(true);
    expect(await rejection(engine.submit(request({ prompt: '<lora:inc>', loraSyntax: true })))).toMatchObject(
      {
        message: expect.stringMatching(/^loras names "inc", which is not here; did you mean ink\?/),
      },
    );
  });

  test('bring words for their own jobs', async () => {
    const plain = await latentsOf(pipe);
    const loras = [{ name: 'words' }];
    const expected = await withLoras(loras);
    expect(sameBits(await latents(engine.submit(request())), plain)).toBe(true);
    expect(sameBits(await latents(engine.submit(request({}, { loras }))), expected)).toBe(true);
    // "lighthouse" is a plain word again.
    expect(sameBits(await latents(engine.submit(request())), plain)).toBe(true);
  });

  test('that fit no model fail their own jobs, without a word of where they lie', async () => {
    const job = await engine.submit(request({}, { loras: [{ name: 'broken' }] }));
    const error = await rejection(job.result);
    expect(error).toMatchObject({
      code: 'ERR_DEEPCACHE_UNSUPPORTED',
      message: '"broken" cannot be used with this model',
    });
    expect(log.join('\n')).toContain('secret-broken');
    expect(sameBits(await latents(engine.submit(request())), await latentsOf(pipe))).toBe(true);
  });

  test.each([
    [{ loras: [{ name: 'ink' }, { name: 'ink' }] }, 'loras has "ink" twice'],
    [{ loras: [{ name: 'ink', scale: 1e9 }] }, 'loras[0].scale'],
    [{ loras: [{ name: '../ink' }] }, 'loras names "../ink"'],
    [{ loras: ['ink'] }, 'loras[0] must be an object'],
    [{ lora: [] }, 'networks.lora is not an option'],
    [{ controlNets: ['canny'] }, 'controlNets needs a picture'],
    [{ ipAdapters: ['canny'] }, 'ipAdapters names "canny"'],
    [{ t2iAdapters: ['canny'] }, 't2iAdapters names "canny", which is not here; there are sketch, lines'],
    [{ t2iAdapters: ['sketch'] }, 't2iAdapters needs a picture'],
  ])('that are none are refused: %#', async (used, message) => {
    expect(await rejection(engine.submit(request({}, used as never)))).toMatchObject({
      code: 'ERR_DEEPCACHE_INVALID_ARGUMENT',
      message: expect.stringContaining(message),
    });
  });
});

describe('networks beside the model', () => {
  const withNets = async (names: readonly string[], options: object) => {
    for (const name of names) await pipe.loadControlNet(networks.controlNets[name] as string, { name });
    const made = await latentsOf(pipe, options);
    await pipe.unloadControlNet();
    return made;
  };

  test('see the pictures of the jobs that name them', async () => {
    const plain = await latentsOf(pipe);
    const canny = await withNets(['canny'], { controlImage: picture });
    const both = await withNets(['depth', 'canny'], {
      controlImage: [picture, picture],
      controlScale: [1, 0.5],
    });
    const jobs = [
      engine.submit(request({ controlImage: picture }, { controlNets: ['canny'] })),
      engine.submit(request()),
      engine.submit(
        request(
          { controlImage: [picture, picture], controlScale: [1, 0.5] },
          { controlNets: ['depth', 'canny'] },
        ),
      ),
      engine.submit(request({ controlImage: picture }, { controlNets: ['canny'] })),
    ];
    const expected = [canny, plain, both, canny];
    for (const [i, job] of jobs.entries())
      expect([i, sameBits(await latents(job), expected[i] as Float32Array)]).toEqual([i, true]);
    expect(sameBits(canny, plain)).toBe(false);
    expect(await rejection(engine.submit(request({ controlImage: picture })))).toMatchObject({
      message: 'controlNets is missing: which sees the pictures? There are canny, depth',
    });
  });

  test('see pictures once for a run', async () => {
    const withAdapters = async (names: readonly string[], options: object) => {
      for (const name of names) await pipe.loadT2IAdapter(networks.t2iAdapters[name] as string, { name });
      const made = await latentsOf(pipe, options);
      await pipe.unloadT2IAdapter();
      return made;
    };
    const plain = await latentsOf(pipe);
    const one = { t2iAdapterImage: picture, t2iAdapterFactor: 0.5 };
    const two = { t2iAdapterImage: [picture, picture], t2iAdapterScale: [1, 0.5] };
    const sketch = await withAdapters(['sketch'], one);
    const both = await withAdapters(['lines', 'sketch'], two);
    // All at once: they wait for each other.
    const jobs = [
      engine.submit(request(one, { t2iAdapters: ['sketch'] })),
      engine.submit(request()),
      engine.submit(request(two, { t2iAdapters: ['lines', 'sketch'] })),
      engine.submit(request(one, { t2iAdapters: ['sketch'] })),
    ];
    for (const [i, expected] of [sketch, plain, both, sketch].entries())
      expect([i, sameBits(await latents(jobs[i] as Promise<Job>), expected)]).toEqual([i, true]);
    for (const other of [plain, both]) expect(sameBits(sketch, other)).toBe(false);
    expect(await rejection(engine.submit(request({ t2iAdapterImage: picture })))).toMatchObject({
      message: 't2iAdapters is missing: which sees the pictures? There are sketch, lines',
    });
  });

  test('prompt by pictures, enlarge, and stand for words', async () => {
    const image = new Image({ width: 32, height: 32, data: new Uint8Array(3 * 32 * 32).fill(90) });
    const { file, imageEncoder } = networks.ipAdapters.face as { file: string; imageEncoder: string };
    await pipe.loadIpAdapter(file, { imageEncoder });
    const prompted = await latentsOf(pipe, { ipAdapterImage: image });
    await pipe.unloadIpAdapter();
    await pipe.loadTextualInversion(networks.embeddings['a-word'] as string, { token: 'a-word' });
    const worded = await latentsOf(pipe, { prompt: 'a-word' });
    pipe.unloadTextualInversion();
    expect(sameBits(await latents(engine.submit(request({ ipAdapterImage: image }))), prompted)).toBe(true);
    expect(sameBits(await latents(engine.submit(request({ prompt: 'a-word' }))), worded)).toBe(true);

    const options = { prompt: 'a lighthouse', steps: 3, seed: 7 } as const;
    const job = await engine.submit(
      request({ ...options, output: 'image', upscale: 'sharp', ipAdapterImage: image }),
    );
    const { images, settings } = await job.result;
    expect(images[0]).toMatchObject({ width: 2 * SIZE, height: 2 * SIZE });
    expect(settings[0]).toContain('Postprocess upscaler: sharp');
    // Nor do settings tell where anything lies.
    expect(JSON.stringify([settings, images[0]?.metadata])).not.toContain(folder.path);
    expect(settings[0]).toContain('face');
    const hires = await engine.submit(request({ hiresFix: { upscaler: 'sharp', scale: 1.5 } }));
    expect(numbersOf(await hires.result)).toHaveLength(4 * 12 * 12);
  });

  test('leave no path in the settings of what they saw', async () => {
    const job = await engine.submit(
      request({ output: 'image', controlImage: picture }, { controlNets: ['depth'] }),
    );
    const drawn = await engine.submit(
      request({ output: 'image', t2iAdapterImage: picture }, { t2iAdapters: ['lines'] }),
    );
    for (const [{ settings }, name] of [
      [await job.result, 'depth'],
      [await drawn.result, 'lines'],
    ] as const) {
      expect(settings[0]).toContain(name);
      expect(settings[0]).not.toContain(folder.path);
    }
  });

  test('are looked at beforehand', async () => {
    await engine.lookAtNetworks();
    expect(engine.models()).toEqual([
      {
        ...{ name: 'tiny', loaded: false, loras: ['ink', 'chalk', 'words', 'broken'] },
        ...{ controlNets: ['canny', 'depth'], t2iAdapters: ['sketch', 'lines'] },
        ...{ ipAdapters: ['face'], embeddings: ['a-word'] },
        upscalers: [{ name: 'sharp', scale: 2 }],
      },
    ]);
    using upscaler = await Upscaler.fromPretrained(networks.upscalers.sharp as string);
    expect(upscaler.scale).toBe(2);
    for (const [kind, file] of [
      ['loras', `${folder.path}/none.safetensors`],
      ['upscalers', networks.loras.ink as string],
      ['embeddings', `${folder.path}/none.pt`],
      ['t2iAdapters', `${folder.path}/none`],
    ] as const) {
      const wrong = new ImageEngine({ models: { tiny: FOLDER }, networks: { [kind]: { x: file } } });
      expect(await rejection(wrong.lookAtNetworks())).toMatchObject({
        message: expect.stringMatching(new RegExp(`^${kind} "x" cannot be used`)),
      });
      await wrong.close();
    }
  });
});
