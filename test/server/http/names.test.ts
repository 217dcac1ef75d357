import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { servedNetworks } from '../../../lib/cli/served-networks.js';
import { Image } from '../../../lib/index.js';
import { ImageEngine } from '../../../lib/server/engine/index.js';
import { ImageServer } from '../../../lib/server/http/index.js';
import type { AdapterFolder } from '../../adapters/adapter-files.js';
import { FOLDER, rejection } from '../../pipelines/tiny.js';
import { makeNetworks } from '../made-networks.js';
import { answer, post, received } from './serving.js';

// Networks by their names, through a real socket: what is named is used, and nothing else can be.

let folder: AdapterFolder;
let server: ImageServer;
let base: string;
let engine: ImageEngine;
let picture: string;
const log: string[] = [];
beforeAll(async () => {
  const made = await makeNetworks();
  folder = made.folder;
  engine = new ImageEngine({
    ...{ models: { tiny: FOLDER }, networks: made.networks },
    log: (line) => void log.push(line),
  });
  await engine.lookAtNetworks();
  server = await ImageServer.create(engine, { closeSeconds: 5, writeLog: (line) => void log.push(line) });
  base = await server.listen();
  const image = new Image({ width: 64, height: 64, data: new Uint8Array(3 * 64 * 64).fill(80) });
  picture = (await image.toBuffer()).toString('base64');
});
afterAll(async () => {
  await server.close();
  folder.remove();
});

const RUN = { prompt: 'a lighthouse', steps: 3, seed: 7 };

/** The pixels of a job, and what is said of it; it must be done. */
async function made(options: object): Promise<{ pixels: Buffer; settings: string }> {
  const response = await post(`${base}/api/jobs`, { ...RUN, ...options }, { accept: 'text/event-stream' });
  let status: { images: { url: string }[]; settings: string[] } | undefined;
  for await (const { event, data } of received(response)) {
    expect([event, data.error]).not.toEqual(['failed', expect.anything()]);
    if (event === 'done') status = data;
  }
  const bytes = await (await fetch(status?.images[0]?.url as string)).arrayBuffer();
  expect(Buffer.from(bytes).includes(folder.path)).toBe(false);
  const { data } = await Image.open(new Uint8Array(bytes));
  return { pixels: Buffer.from(data), settings: status?.settings[0] as string };
}

test('a request names what it uses', async () => {
  const plain = await made({});
  const ink = await made({ loras: [{ name: 'ink', scale: 0.8 }] });
  expect(ink.settings).toContain('ink: 0.8');
  const tagged = await made({ prompt: 'a lighthouse<lora:ink:0.8>', loraSyntax: true });
  expect(tagged.pixels.equals(ink.pixels)).toBe(true);
  const seen = await made({ controlImage: picture, controlNets: ['canny'] });
  const prompted = await made({ ipAdapterImage: picture, ipAdapterScale: 0.5 });
  const drawn = await made({ t2iAdapterImage: picture, t2iAdapters: ['lines'], t2iAdapterScale: 0.7 });
  expect(drawn.settings).toContain('lines');
  const large = await made({ upscale: { upscaler: 'sharp', scale: 1.5 } });
  expect(large.pixels.length).toBe(3 * 96 * 96);
  for (const other of [ink, seen, drawn, prompted]) expect(other.pixels.equals(plain.pixels)).toBe(false);
  expect((await made({})).pixels.equals(plain.pixels)).toBe(true);
});

test('the web UI’s clients name them in their own ways', async () => {
  const get = async (path: string) => (await answer(fetch(`${base}/${path}`))).body;
  const names = async (path: string) =>
    (await get(`sdapi/v1/${path}`)).map(({ name }: { name: string }) => name);
  expect(await names('loras')).toEqual(['ink', 'chalk', 'words', 'broken']);
  expect(await get('sdapi/v1/upscalers')).toEqual([
    expect.objectContaining({ name: 'None' }),
    expect.objectContaining({ name: 'sharp', scale: 2 }),
  ]);
  expect(Object.keys((await get('sdapi/v1/embeddings')).loaded)).toEqual(['a-word']);
  expect(await get('controlnet/model_list')).toEqual({ model_list: ['canny', 'depth'] });
  const send = async (body: object) => {
    const { status, body: given } = await answer(
      post(`${base}/sdapi/v1/txt2img`, { ...RUN, prompt: 'a lighthouse', width: 64, height: 64, ...body }),
    );
    if (status !== 200) return { status, detail: given.detail as string };
    return { status, pixels: Buffer.from((await Image.open(Buffer.from(given.images[0], 'base64'))).data) };
  };
  const run = { longPrompts: true, promptWeighting: true, guidanceScale: 7 };
  const tagged = await send({ prompt: 'a lighthouse <lora:ink:0.8>' });
  const own = await made({ ...run, prompt: 'a lighthouse ', loras: [{ name: 'ink', scale: 0.8 }] });
  expect(tagged.pixels?.equals(own.pixels)).toBe(true);
  const unit = { image: picture, model: 'depth [0123abcd]', module: 'canny', weight: 0.7, guidance_end: 0.9 };
  const seen = await send({ alwayson_scripts: { ControlNet: { args: [unit, { enabled: false }] } } });
  const same = await made({
    ...{ ...run, controlImage: picture, controlNets: ['depth'], controlPreprocess: 'canny' },
    ...{ controlScale: 0.7, controlEnd: 0.9 },
  });
  expect(seen.pixels?.equals(same.pixels)).toBe(true);
  const hires = await send({ enable_hr: true, hr_upscaler: 'sharp', hr_scale: 1.5 });
  expect(hires.pixels?.length).toBe(3 * 96 * 96);
  for (const [wrong, words] of [
    [{ hr_upscaler: '/etc/passwd', enable_hr: true }, 'hr_upscaler "/etc/passwd" is not known'],
    [{ prompt: '<lora:../../x:1>' }, 'loras names "../../x"'],
    [{ alwayson_scripts: { controlnet: { args: [{ ...unit, model: '../net' }] } } }, 'controlNets[0] names'],
    [
      { alwayson_scripts: { controlnet: { args: [{ ...unit, module: 'openpose' }] } } },
      'module is "openpose"',
    ],
    [{ alwayson_scripts: { controlnet: { args: [{ ...unit, weight: 'x' }] } } }, 'weight is no number'],
    [
      { alwayson_scripts: { controlnet: { args: [{ ...unit, image: '/etc/passwd' }] } } },
      'controlImage must be',
    ],
  ] as const) {
    const { status, detail } = await send(wrong);
    expect([status, detail]).toEqual([400, expect.stringContaining(words)]);
  }
});

describe('a name that the server was not given', () => {
  const TRICKS = [
    'nobody',
    '../ink',
    '/etc/passwd',
    'ink\u0000',
    'INK',
    'ink/',
    './ink',
    '%69nk',
    'constructor',
    '',
  ];
  test.each(TRICKS)('%j is refused, and tells nothing', async (name) => {
    for (const body of [
      { loras: [{ name }] },
      { prompt: `<lora:${name}:1>`, loraSyntax: true },
      { controlImage: picture, controlNets: [name] },
      { t2iAdapterImage: picture, t2iAdapters: [name] },
      { ipAdapterImage: picture, ipAdapters: [name] },
      { upscale: name },
      { upscale: { upscaler: name } },
      { hiresFix: { upscaler: name } },
    ]) {
      // A tag without a name is text.
      if (name === '' && 'loraSyntax' in body) continue;
      const { status, body: given } = await answer(post(`${base}/api/jobs`, { ...RUN, ...body }));
      expect([JSON.stringify(body).slice(0, 60), status]).toEqual([expect.any(String), 400]);
      expect(JSON.stringify(given)).not.toMatch(/secret-|deepcache-adapters|safetensors/);
    }
  });

  test.each([
    [{ loras: [{ name: 'ink', file: '/etc/passwd' }] }, 'loras.0.file'],
    [{ loras: 'ink' }, 'loras'],
    [{ loras: [{ name: 'ink', scale: 1e6 }] }, 'loras'],
    [{ loras: Array(17).fill({ name: 'ink' }) }, 'loras'],
    [{ networks: { loras: [] } }, 'networks is not an option'],
    [{ controlNets: ['canny', 'canny'], controlImage: 'it' }, 'controlNets has a name twice'],
    [{ controlImage: 'it' }, 'controlNets is missing'],
    [{ t2iAdapters: ['lines', 'lines'], t2iAdapterImage: 'it' }, 't2iAdapters has a name twice'],
    [{ t2iAdapterImage: 'it' }, 't2iAdapters is missing'],
  ])('nor is what has another form: %#', async (body, words) => {
    const sent = JSON.stringify({ ...RUN, ...body }).replace('"it"', JSON.stringify(picture));
    const { status, body: given } = await answer(post(`${base}/api/jobs`, sent));
    expect([status, given.error.message]).toEqual([400, expect.stringContaining(words)]);
  });

  test('one that does not fit the model fails the job alone, and only the log says where it lies', async () => {
    const response = await post(
      `${base}/api/jobs`,
      { ...RUN, loras: [{ name: 'broken' }] },
      { accept: 'text/event-stream' },
    );
    const events = [];
    for await (const event of received(response)) events.push(event);
    expect(events.at(-1)).toMatchObject({
      event: 'failed',
      data: {
        error: { code: 'ERR_DEEPCACHE_UNSUPPORTED', message: '"broken" cannot be used with this model' },
      },
    });
    expect(log.join('')).toContain('secret-broken');
    await made({});
  });
});

describe('the flags of serve', () => {
  const { signal } = new AbortController();
  test('are names and places', async () => {
    const flags = {
      ...{
        lora: ['ink=a=b.safetensors', 'wash=w.pt'],
        controlNet: ['canny=nets/canny'],
        t2iAdapter: ['sketch=nets/sketch'],
        upscaler: ['x4=x4.pth'],
      },
      ...{ embedding: ['bad hands=e.pt'], ipAdapter: ['face=f.bin'], imageEncoder: 'encoder' },
    };
    expect(await servedNetworks(flags, signal)).toEqual({
      loras: { ink: 'a=b.safetensors', wash: 'w.pt' },
      controlNets: { canny: 'nets/canny' },
      t2iAdapters: { sketch: 'nets/sketch' },
      upscalers: { x4: 'x4.pth' },
      embeddings: { 'bad hands': 'e.pt' },
      ipAdapters: { face: { file: 'f.bin', imageEncoder: 'encoder' } },
    });
  });

  test.each([
    [{ lora: ['ink.safetensors'] }, 'lora must be NAME=PLACE'],
    [{ upscaler: ['=x.pth'] }, 'upscaler must be'],
    [{ lora: ['a=b', 'a=c'] }, 'lora has two called a'],
    [{ controlNet: ['<a>=b'] }, 'controlNet must be'],
    [{ imageEncoder: 'x' }, 'imageEncoder is for'],
  ])('that are none are refused: %j', async (flags, words) => {
    expect(await rejection(servedNetworks(flags, signal))).toMatchObject({
      code: 'ERR_DEEPCACHE_INVALID_ARGUMENT',
      message: expect.stringContaining(words),
    });
  });
});
