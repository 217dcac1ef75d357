import { afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { Image } from '../../../lib/index.js';
import { whyLocal } from '../../../lib/options/local.js';
import { entries, OPTIONS, type OptionName } from '../../../lib/options/spec/index.js';
import { OFFERED, PICTURES } from '../../../lib/server/http/jobs/run-fields.js';
import { WRONG } from '../../options/wrong.js';
import { answer, closeAll, post, type Serving, serve } from './serving.js';

// Which options requests may have follows from the library's table of options.

let picture: string;
beforeAll(async () => {
  const bytes = await new Image({ width: 64, height: 64, data: new Uint8Array(3 * 64 * 64) }).toBuffer();
  picture = bytes.toString('base64');
});
afterEach(closeAll);

/** A value of each that requests may have, and what the engine gets where it is another one. */
const RIGHT = (): Readonly<Partial<Record<OptionName, unknown>>> => ({
  ...{ prompt: ['a', 'b'], negativePrompt: 'c', prompt2: 'd', negativePrompt2: 'e', clipSkip: 1 },
  ...{ longPrompts: true, promptWeighting: true, loraSyntax: true, width: 64, height: 64, numImages: 2 },
  ...{ originalSize: [64, 64], cropsCoordsTopLeft: [0, 0], targetSize: [64, 64], aestheticScore: 6 },
  ...{ negativeOriginalSize: [64, 64], negativeCropsCoordsTopLeft: [0, 0], negativeTargetSize: [64, 64] },
  ...{ negativeAestheticScore: 2.5, batchSize: 2, classLabels: [1, 2], image: picture, maskImage: picture },
  ...{
    depthMap: picture,
    noiseLevel: 20,
    strength: 0.5,
    keepOriginal: true,
    maskBlur: 4,
    paddingMaskCrop: 32,
  },
  ...{ vaeTiling: { tileSize: 256, overlap: 64 }, hiresFix: { scale: 1.5, upscaler: 'bicubic' } },
  ...{ upscale: { upscaler: 'sharp', scale: 2 }, steps: 20, guidanceScale: 7.5, guidanceRescale: 0.5 },
  ...{ seed: 7, seeds: [7, 8], scheduler: 'DPM++ 2M Karras', schedulerOptions: { sChurn: 1 } },
  ...{ cache: { interval: 3, featureDamping: 0.5, gateStep: 10, spInterval: 2 }, timesteps: [900, 1] },
  ...{ sigmas: [10, 1], eta: 0.5, imageGuidanceScale: 1.5, guidanceSchedule: [7, 1], cutoffStepIndex: 5 },
  ...{ cutoffStepRatio: 0.5, guider: 'apg', guiderOptions: { eta: 0.5 }, pagScale: 3, pagAdaptiveScale: 0.1 },
  ...{
    pagAppliedLayers: ['mid', 'down_blocks.2'],
    sagScale: 0.75,
    freeU: { b1: 1.5, b2: 1.6, s1: 0.9, s2: 0.2 },
  },
  ...{ distilled: 'lcm', controlImage: [picture, picture], controlMode: [0, [1, 2]], guessMode: true },
  ...{ controlPreprocess: ['canny', 'none'], controlResize: 'crop', controlScale: [1, 0.5], controlStart: 0 },
  ...{ controlEnd: 0.9, controlCache: 'live', t2iAdapterImage: picture, t2iAdapterScale: 0.5 },
  ...{ t2iAdapterFactor: 0.5, ipAdapterImage: [[picture, picture]] },
  ipAdapterScale: { down: { block_2: [0, 1] }, up: 0.5 },
});

/** Here seeds may be texts. */
const isSeed = (name: string, value: unknown) => /^seeds?$/.test(name) && String(value) === '1';

const isJson = (value: unknown): boolean => {
  try {
    expect(JSON.parse(JSON.stringify(value))).toStrictEqual(value);
    return true;
  } catch {
    return false;
  }
};

test('every option is offered, or there is a reason why not', () => {
  const offered = OFFERED.map(([name]): string => name);
  const reasons = Object.fromEntries(entries.map(([name, option]) => [name, whyLocal(option)]));
  const silent = entries.filter(
    ([name]) => !offered.includes(name) && reasons[name] === undefined && name !== 'previewEvery',
  );
  expect(silent.map(([name]) => name)).toEqual([]);
  expect(offered.filter((name) => reasons[name] !== undefined)).toEqual([]);
  // What names files or holds code is none of them.
  const path = Object.entries(OPTIONS).filter(([, { kind }]) => /path|folder|function/.test(kind.type));
  expect(offered.filter((name) => name !== 'upscale' && path.some(([other]) => other === name))).toEqual([]);
  expect(Object.keys(RIGHT()).sort()).toEqual([...offered].sort());
});

describe('a request', () => {
  const withNetworks = async (): Promise<Serving> => {
    const serving = await serve();
    const models = [{ name: 'one', upscalers: [{ name: 'sharp', scale: 4 }] }];
    serving.engine.models = () => models as ReturnType<typeof serving.engine.models>;
    return serving;
  };

  test('may have each of them', async () => {
    const { engine, base } = await withNetworks();
    for (const [name, value] of Object.entries(RIGHT())) {
      const needed = name === 'maskImage' ? { image: picture } : {};
      const { status, body } = await answer(
        post(`${base}/api/jobs`, { prompt: 'a', ...needed, [name]: value }),
      );
      expect([name, status, body.error]).toEqual([name, 201, undefined]);
      const got = engine.jobs.at(-1)?.request.options[name];
      if (PICTURES.has(name)) expect([got].flat(2)[0]).toEqual(Buffer.from(picture, 'base64'));
      else expect([name, got]).toEqual([name, value]);
    }
  });

  test('with a wrong value is refused in the words of the library', async () => {
    const { engine, base } = await withNetworks();
    for (const [name] of OFFERED) {
      for (const value of WRONG[name].filter((one) => isJson(one) && !isSeed(name, one))) {
        const { status, body } = await answer(post(`${base}/api/jobs`, { prompt: 'a', [name]: value }));
        expect([name, value, status]).toEqual([name, value, 400]);
        expect(body.error.message).toMatch(new RegExp(`^${name}\\b`));
      }
    }
    expect(engine.jobs).toEqual([]);
  });

  test.each([
    ['image', '/etc/passwd'],
    ['controlImage', ['../secret.png']],
    ['ipAdapterImage', [['file:///etc/passwd']]],
    ['maskImage', 'secret.png'],
    ['upscale', '/etc/passwd'],
    ['upscale', '../sharp'],
    ['upscale', { upscaler: './sharp', scale: 2 }],
    ['hiresFix', { upscaler: '/etc/passwd' }],
    ['controlNet', '/models/canny'],
    ['vae', 'x'],
    ['scheduler', { _class_name: 'DDIMScheduler' }],
    // A regular expression that takes for ever.
    ['pagAppliedLayers', '(a+)+$'],
    ['image', { data: [0, 0, 0], width: 1, height: 1, channels: 3 }],
    ['latents', { data: [0], shape: [1, 1, 1, 1] }],
  ])('names no file and holds no code: %s %j', async (name, value) => {
    const { engine, base } = await withNetworks();
    const { status, body } = await answer(post(`${base}/api/jobs`, { prompt: 'a', [name]: value }));
    expect(status).toBe(400);
    expect(body.error.message).toContain(name);
    expect(engine.jobs).toEqual([]);
  });

  test.each([
    ['prompt', { prompt: Array(9).fill('a') }, 'prompt makes 9 pictures; this server allows at most 8'],
    ['prompt', { prompt: ['a', 'b', 'c'], numImages: 3 }, 'prompt makes 9 pictures'],
    ['prompt', { prompt: ['a', 'x'.repeat(20_001)] }, 'prompt has 20001 characters'],
    ['classLabels', { classLabels: [1, 2, 3], numImages: 4 }, 'classLabels makes 12 pictures'],
    ['batchSize', { batchSize: 9 }, 'batchSize is 9'],
    ['timesteps', { timesteps: Array.from({ length: 151 }, (_, i) => 900 - i) }, 'timesteps.length is 151'],
    ['upscale', { width: 1024, height: 1024, upscale: 'sharp' }, undefined],
    ['upscale', { width: 1024, height: 1024, upscale: { upscaler: 'sharp', scale: 8 } }, 'enlarged 8 times'],
    ['upscale', { upscale: { upscaler: 'sharp', width: 4096, height: 4096 } }, 'this server allows'],
    ['upscale', { width: 1032, height: 1024, upscale: 'sharp' }, 'enlarged 4 times'],
  ])('is not larger than allowed: %s %#', async (_, options, wrong) => {
    const { base, engine } = await withNetworks();
    const limited = wrong === undefined || String(wrong).includes('4 times') ? 4096 * 4096 : undefined;
    const own = limited === undefined ? base : (await bigger(limited)).base;
    const { status, body } = await answer(post(`${own}/api/jobs`, { prompt: 'a', ...options }));
    expect(status).toBe(wrong === undefined ? 201 : 400);
    if (wrong !== undefined) expect(body.error.message).toContain(wrong);
    expect(engine.jobs).toEqual([]);
  });

  const bigger = async (pixels: number) => {
    const serving = await serve({ limits: { pixels } });
    const models = [{ name: 'one', upscalers: [{ name: 'sharp', scale: 4 }] }];
    serving.engine.models = () => models as ReturnType<typeof serving.engine.models>;
    return serving;
  };

  test('has the size of the picture that a ControlNet sees, which is limited too', async () => {
    const { base } = await serve({ limits: { pixels: 64 * 32 } });
    const { status, body } = await answer(post(`${base}/api/jobs`, { prompt: 'a', controlImage: picture }));
    expect([status, body.error.message]).toEqual([400, expect.stringContaining('64x64')]);
  });
});

describe('a form', () => {
  const form = (parts: Readonly<Record<string, string | Uint8Array | Uint8Array[]>>) => {
    const data = new FormData();
    for (const [name, value] of Object.entries(parts))
      for (const one of [value].flat())
        data.append(name, typeof one === 'string' ? one : new Blob([one as never], { type: 'image/png' }));
    return data;
  };
  const send = (base: string, parts: Parameters<typeof form>[0], headers: Record<string, string> = {}) =>
    answer(fetch(`${base}/api/jobs`, { method: 'POST', body: form(parts), headers }));

  test('has a job and its pictures', async () => {
    const { engine, base } = await serve();
    const bytes = Buffer.from(picture, 'base64');
    const job = JSON.stringify({ prompt: 'a', seed: '18446744073709551615', strength: 0.5 });
    expect((await send(base, { job, image: bytes, controlImage: [bytes, bytes] })).status).toBe(201);
    expect(engine.jobs[0]?.request).toMatchObject({
      task: 'image-to-image',
      options: {
        prompt: 'a',
        seed: 18446744073709551615n,
        strength: 0.5,
        image: bytes,
        controlImage: [bytes, bytes],
      },
    });
  });

  test.each([
    [{ job: '{' }, 'the field job is not JSON'],
    [{ job: '[]' }, 'must be object'],
    [{ job: '{"__proto__": {"steps": 1}}' }, '__proto__'],
    [{ job: '{"steps": "x"}' }, 'steps must be'],
    [{ prompt: 'a' }, 'prompt is a field of the form'],
    [{ job: '{}', prompt: new Uint8Array(4) }, 'prompt is a file'],
    [{ job: '{}', image: [new Uint8Array(4), new Uint8Array(4)] }, 'image is one picture, got 2'],
    [{ job: '{}', image: new Uint8Array([1, 2, 3]) }, 'image'],
  ])('that is none is refused: %#', async (parts, message) => {
    const { engine, base } = await serve();
    const { status, body } = await send(base, parts as never);
    expect([status, body.error.message]).toEqual([400, expect.stringContaining(message)]);
    expect(engine.jobs).toEqual([]);
  });

  test('with other pictures is another request', async () => {
    const { engine, base } = await serve();
    const key = { 'idempotency-key': 'k' };
    const bytes = Buffer.from(picture, 'base64');
    const other = await new Image({
      width: 64,
      height: 64,
      data: new Uint8Array(3 * 64 * 64).fill(9),
    }).toBuffer();
    expect((await send(base, { job: '{"prompt":"a"}', image: bytes }, key)).status).toBe(201);
    expect((await send(base, { job: '{"prompt":"a"}', image: bytes }, key)).status).toBe(200);
    expect((await send(base, { job: '{"prompt":"a"}', image: other }, key)).status).toBe(409);
    expect(engine.jobs.length).toBe(1);
  });
});

test('OpenAPI describes all of them, with their limits', async () => {
  const { base } = await serve();
  const { body } = await answer(fetch(`${base}/openapi.json`));
  const { schema } = body.paths['/api/jobs'].post.requestBody.content['application/json'];
  const { properties } = schema;
  for (const [name] of OFFERED)
    expect([name, properties[name]?.description]).toEqual([name, expect.stringMatching(/\.$/)]);
  expect(properties.pagScale).toMatchObject({ type: 'number', minimum: 0, maximum: 1000 });
  expect(properties.guider.enum).toContain('apg');
  expect(properties.prompt2.description).toContain('For SDXL');
  expect(properties.steps).toMatchObject({ minimum: 1, maximum: 100_000 });
});
