import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Page, SerializedAXNode } from 'puppeteer-core';
import { Image } from '../../../lib/index.js';
import { ImageServer, makeApiKey } from '../../../lib/server/http/index.js';
import { findChromium, type OpenPage, openPage } from '../../chromium.js';
import { FakeEngine, type FakeJob } from './fake-engine.js';
import { until } from './serving.js';

const chromium = findChromium();
// Set to a folder to look at the page.
const screenshots = process.env.SCREENSHOTS;
const EVIL = '<img src=x onerror=alert(1)> & "a barn"';

// Without a browser there is nothing to test in one.
(chromium ? describe : describe.skip)("the server's page in a browser", () => {
  const { key, entry } = makeApiKey('ann');
  let engine: FakeEngine;
  let server: ImageServer;
  let base: string;
  let opened: OpenPage;
  let page: Page;
  beforeAll(async () => {
    engine = new FakeEngine();
    engine.onJob = () => {};
    const networks = {
      ...{ loras: [EVIL, 'chalk'], controlNets: ['canny', 'depth'], ipAdapters: ['face'] },
      t2iAdapters: ['sketch', 'lines'],
      upscalers: [{ name: 'sharp', scale: 4 }],
    };
    const about = { className: 'StableDiffusionPipeline', width: 64, height: 64, steps: 20 };
    Object.assign(engine, {
      models: () => [{ name: 'one', ...networks }, { name: 'two' }],
      about: async () => ({ ...about, macs: { full: 1000, cached: 100 } }),
    });
    server = await ImageServer.create(engine, {
      log: 'silent',
      closeSeconds: 0,
      keys: [entry],
      reconnectSeconds: 0,
      // By which this browser cannot reach it.
      publicUrl: 'https://pictures.example/made/here',
    });
    base = await server.listen();
    opened = await openPage(chromium as string, `${base}/`, new RegExp(`^(data:|blob:)|^${base}/`));
    page = opened.page;
  });
  afterAll(async () => {
    await opened?.browser.close();
    await server?.close();
    for (const folder of uploaded) rmSync(folder, { recursive: true });
  });

  /** Folders of pictures that were put into fields. */
  const uploaded: string[] = [];

  const evaluate = (script: string) => page.evaluate(script) as Promise<never>;
  const textOf = (selector: string) =>
    evaluate(`document.querySelector(${JSON.stringify(selector)})?.textContent ?? ''`);
  const count = (selector: string) =>
    evaluate(`document.querySelectorAll(${JSON.stringify(selector)}).length`);
  const set = (id: string, value: string) =>
    page.$eval(`#${id}`, (element, text) => Object.assign(element, { value: text }), value);
  const jobs = () => engine.jobs as FakeJob[];
  const capture = async (name: string) => {
    const png = await page.screenshot();
    if (screenshots) writeFileSync(join(screenshots, `${name}.png`), png);
    return Image.open(png);
  };

  test('asks for a key where one is needed, and knows the models then', async () => {
    await until(async () => evaluate("!document.querySelector('#key-row').hidden"));
    expect(await count('#model option')).toBe(0);
    await page.type('#key', key);
    await page.keyboard.press('Tab');
    await until(async () => (await count('#model option')) === 2);
    await until(async () => (await count('#scheduler option')) > 10);
    expect(await textOf('#complaint')).toBe('');
  });

  test('sends what the form says, by the keyboard', async () => {
    await page.type('#prompt', EVIL);
    await page.type('#steps', '4');
    await set('scheduler', 'Euler a');
    await set('model', 'two');
    await page.focus('#prompt');
    await page.keyboard.down('Control');
    await page.keyboard.press('Enter');
    await page.keyboard.up('Control');
    await until(() => jobs().length === 1);
    expect(jobs()[0]?.request).toMatchObject({
      ...{ model: 'two', previewEvery: 2, client: 'ann' },
      options: { prompt: EVIL, steps: 4, scheduler: 'Euler a', cache: 'balanced' },
    });
  });

  test('shows what waits and runs, with a preview', async () => {
    await until(async () => (await textOf('#queue .about')) === 'waits, 0 before it, about 3 s');
    expect(await textOf('#queue .text')).toBe(EVIL);
    jobs()[0]?.start();
    jobs()[0]?.step(2, 4, true);
    await until(async () => evaluate("document.querySelector('#queue img').naturalWidth === 64"));
    expect(await textOf('#queue .about')).toBe('step 2 of 4');
    expect(await evaluate("document.querySelector('#queue progress').value")).toBe(0.5);
    await capture('running');
  });

  test('puts pictures into the gallery, with their settings', async () => {
    jobs()[0]?.finish();
    await until(async () => (await count('#gallery li')) === 1);
    await until(async () => (await count('#queue li')) === 0);
    expect(await textOf('#gallery .text')).toBe(EVIL);
    expect(await textOf('#gallery .about')).toBe(
      '64×64, seed 7, 1.4 s, 2.00 times as fast as without the cache',
    );
    await until(async () => evaluate("document.querySelector('#gallery img').naturalWidth === 64"));
    expect(await evaluate("document.querySelector('#gallery img').alt")).toBe(EVIL);
    expect(await textOf('#news')).toBe(`Done: ${EVIL}`);
    // What was typed is text, wherever it is shown.
    expect(await count('img[src=x]')).toBe(0);
    await set('prompt', 'another');
    await page.click('#gallery button');
    expect(
      await evaluate("['prompt', 'seed', 'steps'].map((id) => document.getElementById(id).value)"),
    ).toEqual([...[EVIL, '7', '4']]);
    expect(await evaluate("document.querySelector('#gallery a').download")).toBe('7-0.png');
  });

  test('cancels a job', async () => {
    await page.click('button[type=submit]');
    await until(() => jobs().length === 2);
    jobs()[1]?.start();
    await until(async () => (await count('#queue button')) === 1);
    await until(async () => (await textOf('#queue .about')) === 'begins');
    await page.click('#queue button');
    await until(() => jobs()[1]?.state === 'cancelled');
    await until(async () => (await count('#queue li')) === 0);
    expect(await count('#gallery li')).toBe(1);
  });

  test('says what is wrong in the words of the API', async () => {
    await set('steps', '1000');
    await page.click('button[type=submit]');
    await until(async () => (await textOf('#complaint')) !== '');
    expect(await textOf('#complaint')).toBe('steps is 1000; this server allows at most 150 steps');
    expect(await count('#queue li')).toBe(0);
    await set('steps', '4');
  });

  test('starts from a picture', async () => {
    await page.click('#start > summary');
    await choosePicture('#image');
    await until(async () => evaluate("!document.querySelector('#paint').hidden"));
    await page.click('button[type=submit]');
    await until(() => jobs().length === 3);
    expect(jobs()[2]?.request.task).toBe('image-to-image');
    jobs()[2]?.finish();
    await until(async () => (await count('#gallery li')) === 2);
  });

  /** Puts a picture of 64 x 64 pixels into a field for files. */
  async function choosePicture(selector: string): Promise<void> {
    const file = join(mkdtempSync(join(tmpdir(), 'deepcache-page-')), 'start.png');
    const data = new Uint8Array(3 * 64 * 64).map((_, i) => (i % 3 === 2 ? 160 : (i / 64) % 256));
    await new Image({ width: 64, height: 64, data }).save(file);
    const input = await page.$(selector);
    await (input as unknown as { uploadFile(path: string): Promise<void> }).uploadFile(file);
    uploaded.push(dirname(file));
  }

  /** The mask of the newest job: the share of it that is white, and of its left half. */
  async function maskOf(job: FakeJob | undefined): Promise<[all: number, left: number]> {
    const { width, height, data } = await Image.open(job?.request.options.maskImage as Uint8Array);
    let [all, left] = [0, 0];
    for (let i = 0; i < width * height; i++) {
      if ((data[3 * i] as number) < 128) continue;
      all++;
      if (i % width < width / 2) left++;
    }
    return [all / (width * height), left / (width * height)];
  }

  const submitted = async () => {
    const before = jobs().length;
    await page.click('button[type=submit]');
    await until(() => jobs().length > before);
    return jobs().at(-1);
  };
  const finished = async (job: FakeJob | undefined) => {
    job?.finish();
    await until(async () => (await count('#queue li')) === 0);
  };

  test('repaints what a pointer or a finger has painted', async () => {
    const board = async () => {
      await evaluate("document.querySelector('#board').scrollIntoView({ block: 'center' })");
      const box = await (await page.$('#board'))?.boundingBox();
      return box ?? { x: 0, y: 0, width: 0, height: 0 };
    };
    const { x, y, width, height } = await board();
    await page.mouse.move(x + 0.2 * width, y + 0.2 * height);
    await page.mouse.down();
    await page.mouse.move(x + 0.2 * width, y + 0.8 * height, { steps: 4 });
    await page.mouse.up();
    await capture('painted');
    const first = await submitted();
    expect(first?.request).toMatchObject({ task: 'inpaint', options: { keepOriginal: true } });
    const [all, left] = await maskOf(first);
    // A stroke of a tenth of the width, six tenths long.
    expect(all).toBeGreaterThan(0.05);
    expect(all).toBeLessThan(0.09);
    expect(left).toBe(all);
    await finished(first);
    const now = await board();
    await page.touchscreen.touchStart(now.x + 0.8 * width, now.y + 0.5 * height);
    await page.touchscreen.touchMove(now.x + 0.8 * width, now.y + 0.6 * height);
    await page.touchscreen.touchEnd();
    const second = await submitted();
    const [more, before] = await maskOf(second);
    expect(before).toBe(left);
    expect(more).toBeGreaterThan(left + 0.005);
    await finished(second);
  });

  test('repaints what was painted by keys', async () => {
    await page.click('#clear');
    expect(await textOf('#painted')).toMatch(/^0 % is painted/);
    await page.focus('#board');
    for (const key of ['ArrowLeft', 'ArrowLeft', ' ', 'ArrowUp', ' '] as const)
      await page.keyboard.press(key as never);
    expect(await evaluate("document.querySelector('#cursor').hidden")).toBe(false);
    await capture('keys');
    const painted = await submitted();
    const [few] = await maskOf(painted);
    expect(few).toBeGreaterThan(0.003);
    expect(few).toBeLessThan(0.03);
    await finished(painted);
    await page.focus('#board');
    await page.keyboard.press('x');
    await page.click('#invert');
    const rest = await submitted();
    expect((await maskOf(rest))[0]).toBeGreaterThan(0.97);
    await finished(rest);
    await page.click('#no-image');
    const none = await submitted();
    expect(none?.request.task).toBe('text-to-image');
    await finished(none);
  });

  test('offers the networks of the model, by their names', async () => {
    await set('model', 'one');
    await evaluate("document.querySelector('#model').dispatchEvent(new Event('change'))");
    await page.click('#networks > summary');
    await set('lora', EVIL);
    await page.click('#add-lora');
    await page.$eval('#loras [data-field=scale]', (input) => Object.assign(input, { value: '0.8' }));
    await set('control', 'depth');
    await page.click('#add-control');
    await page.click('button[type=submit]');
    await until(async () => (await textOf('#complaint')) === 'depth needs a picture to see');
    await choosePicture('#controls input[type=file]');
    await until(async () => evaluate("!document.querySelector('#controls .seen').hidden"));
    await set('sketch', 'lines');
    await page.click('#add-sketch');
    await page.click('button[type=submit]');
    await until(async () => (await textOf('#complaint')) === 'lines needs a picture to see');
    await choosePicture('#sketches input[type=file]');
    await until(async () => evaluate("!document.querySelector('#sketches .seen').hidden"));
    await page.$eval('#sketches [data-field=scale]', (input) => Object.assign(input, { value: '0.6' }));
    await set('face', 'face');
    await choosePicture('#face-image');
    await set('upscaler', 'sharp');
    await set('upscale-scale', '2');
    await capture('networks');
    const job = await submitted();
    expect(job?.request).toMatchObject({
      networks: {
        ...{ loras: [{ name: EVIL, scale: 0.8 }], controlNets: ['depth'], t2iAdapters: ['lines'] },
        ipAdapters: ['face'],
      },
      options: {
        t2iAdapterScale: [0.6],
        controlScale: [1],
        controlPreprocess: ['none'],
        upscale: { upscaler: 'sharp', scale: 2 },
      },
    });
    for (const name of ['controlImage', 't2iAdapterImage', 'ipAdapterImage'])
      expect([name, job?.request.options[name]]).toEqual([name, expect.any(Uint8Array)]);
    // Names are text, too.
    expect(await count('img[src=x]')).toBe(0);
    expect(await textOf('#loras .text')).toBe(EVIL);
    await finished(job);
    const lists = ['loras', 'controls', 'sketches'];
    const lengths = () => Promise.all(lists.map((list) => count(`#${list} li`)));
    for (const list of lists) await page.click(`#${list} button`);
    expect(await lengths()).toEqual([0, 0, 0]);
    // A picture's settings bring them back.
    await page.click('#gallery li:first-child .buttons button');
    await until(async () => String(await lengths()) === '1,1,1');
    expect(await evaluate("document.querySelector('#sketches [data-field=scale]').value")).toBe('0.6');
    expect(await evaluate("document.querySelector('#loras [data-field=scale]').value")).toBe('0.8');
    await set('model', 'two');
    await evaluate("document.querySelector('#model').dispatchEvent(new Event('change'))");
    expect(await evaluate("document.querySelector('#networks').hidden")).toBe(true);
  });

  test('says how much faster the cache is, as the form changes', async () => {
    const choose = async (id: string, value: string) => {
      await set(id, value);
      await evaluate(`document.querySelector('#${id}').dispatchEvent(new Event('input'))`);
      return textOf('#speed');
    };
    await choose('steps', '');
    // 7 of 20 in full, the others a tenth: 20 / 8.3.
    expect(await choose('cache', 'balanced')).toContain('7 of 20 steps in full: about 2.4 times as fast');
    expect(await choose('cache', 'fast')).toContain('4 of 20 steps in full: about 3.6 times');
    expect(await choose('steps', '8')).toBe('With 8 steps every one is computed in full.');
    expect(await choose('cache', '')).toBe('Every step is computed in full.');
    await choose('cache', 'balanced');
    await choose('steps', '4');
  });

  test('shows two pictures side by side, by pointer and keys', async () => {
    const pick = (n: number) => page.click(`#gallery li:nth-child(${n}) button[aria-pressed]`);
    await pick(1);
    expect(await evaluate("document.querySelector('#gallery li button[aria-pressed=true]') !== null")).toBe(
      true,
    );
    await pick(2);
    await until(async () => evaluate("document.querySelector('#compare').open"));
    const at = () => evaluate("document.querySelector('.stage').style.getPropertyValue('--at')");
    expect(await at()).toBe('50%');
    await page.keyboard.press('ArrowRight');
    expect(await at()).toBe('51%');
    const box = await (await page.$('.stage'))?.boundingBox();
    const { x = 0, y = 0, width = 0 } = box ?? {};
    await page.mouse.move(x + width / 2, y + 10);
    await page.mouse.down();
    await page.mouse.move(x + width / 4, y + 10, { steps: 3 });
    await page.mouse.up();
    expect(Number.parseFloat(await at())).toBeCloseTo(25, 0);
    await capture('compare');
    await page.keyboard.press('Escape');
    expect(await evaluate("document.querySelector('#compare').open")).toBe(false);
    // The same picture without the cache, made for it.
    const before = jobs().length;
    await evaluate(
      "[...document.querySelectorAll('#gallery li:first-child button')].find((b) => b.textContent === 'Against no cache').click()",
    );
    await until(() => jobs().length > before);
    expect(jobs().at(-1)?.request.options).toMatchObject({ cache: false, seed: 7n });
    jobs().at(-1)?.finish();
    await until(async () => evaluate("document.querySelector('#compare').open"));
    expect(await textOf('#left-text')).toMatch(/^With the cache/);
    await page.keyboard.press('Escape');
  });

  test('starts from a picture that was made', async () => {
    await evaluate(
      "[...document.querySelectorAll('#gallery li:first-child button')].find((b) => b.textContent === 'Start from it').click()",
    );
    await until(async () => evaluate("!document.querySelector('#paint').hidden"));
    const job = await submitted();
    expect(job?.request.task).toBe('image-to-image');
    await finished(job);
    await page.click('#no-image');
    expect(await textOf('#gallery pre')).toBe('Steps: 4');
  });

  test('names everything that can be used', async () => {
    const snapshot = (await page.accessibility.snapshot()) as SerializedAXNode;
    const all = (node: SerializedAXNode): SerializedAXNode[] => [node, ...(node.children ?? []).flatMap(all)];
    const used = all(snapshot).filter(({ role }) =>
      ['textbox', 'combobox', 'spinbutton', 'button', 'link', 'image', 'slider', 'progressbar'].includes(
        role,
      ),
    );
    expect(used.length).toBeGreaterThan(12);
    expect(used.filter(({ name }) => !name)).toEqual([]);
  });

  test('follows the colors of the system, which can be told apart', async () => {
    const paper = () => evaluate('getComputedStyle(document.body).backgroundColor');
    for (const [value, expected] of [
      ['light', 'rgb(255, 255, 255)'],
      ['dark', 'rgb(20, 20, 23)'],
    ] as const) {
      await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value }]);
      expect(await paper()).toBe(expected);
      await capture(value);
      // 4.5 to 1 is what WCAG asks of texts.
      for (const selector of ['body', 'label', '.about', 'button[type=submit]', '#complaint'])
        expect([selector, (await contrast(page, selector)) >= 4.5]).toEqual([selector, true]);
    }
  });

  test('fits a phone without scrolling sideways', async () => {
    await page.setViewport({ width: 360, height: 740 });
    const [inside, room] = (await evaluate(
      '[document.documentElement.scrollWidth, document.documentElement.clientWidth]',
    )) as [number, number];
    expect(inside).toBe(room);
    await capture('phone');
    await evaluate("document.querySelector('#gallery').scrollIntoView()");
    await capture('phone-gallery');
    // Large enough for a finger.
    const heights = (await evaluate(
      "[...document.querySelectorAll('button, input, select, .buttons a')].filter((e) => e.offsetParent).map((e) => e.offsetHeight)",
    )) as number[];
    expect(Math.min(...heights)).toBeGreaterThanOrEqual(36);
  });

  test('cancels what it waits for when it is left', async () => {
    const before = jobs().length;
    await page.click('button[type=submit]');
    await until(() => jobs().length > before);
    await page.goto('about:blank');
    await until(() => jobs().at(-1)?.state === 'cancelled');
  });

  test('asks nothing of others, and its script has no errors', () => {
    const expected = /401|400/;
    expect(opened.complaints.filter((text) => !expected.test(text))).toEqual([]);
  });

  test("takes a model's own cache, and says so where it is to be without", async () => {
    const { about } = engine as { about?: (model: string) => Promise<object> };
    const caches = ['fast', 'settings'];
    Object.assign(engine, {
      about: async (model: string) => ({
        ...(await about?.(model)),
        cache: caches[model === 'one' ? 0 : 1],
      }),
    });
    // The tab has kept the key.
    await page.goto(`${base}/`);
    await until(async () => (await count('#model option')) === 2);
    const choose = async (model: string) => {
      await set('model', model);
      await evaluate("document.querySelector('#model').dispatchEvent(new Event('change'))");
    };
    const cache = () => evaluate("document.querySelector('#cache').value");
    const isHidden = () => evaluate("document.querySelector('#own-cache').hidden");
    expect([await cache(), await isHidden()]).toEqual(['fast', true]);
    await choose('two');
    expect([await cache(), await isHidden()]).toEqual(['settings', false]);
    await set('prompt', 'a barn');
    const sent = async () => {
      const before = jobs().length;
      await page.click('button[type=submit]');
      await until(() => jobs().length > before);
      const job = jobs().at(-1) as FakeJob;
      job.start();
      job.finish();
      await until(async () => (await count('#queue li')) === 0);
      return job.request.options as Record<string, unknown>;
    };
    // It does not say what the settings are: the engine has them.
    expect(await sent()).not.toHaveProperty('cache');
    await set('cache', '');
    expect(await sent()).toMatchObject({ cache: false });
    await choose('one');
    expect([await cache(), await isHidden()]).toEqual(['fast', true]);
    expect(await sent()).toMatchObject({ cache: 'fast' });
    Object.assign(engine, { about });
  });
});

/** How much the text of an element stands out from what is behind it (WCAG 2, relative luminance). */
async function contrast(page: Page, selector: string): Promise<number> {
  const [ink, paper] = (await page.evaluate(`(() => {
    const element = document.querySelector(${JSON.stringify(selector)});
    let behind = element;
    while (behind && getComputedStyle(behind).backgroundColor === 'rgba(0, 0, 0, 0)') behind = behind.parentElement;
    return [getComputedStyle(element).color, getComputedStyle(behind ?? document.body).backgroundColor];
  })()`)) as [string, string];
  const light = (color: string) => {
    const [r = 0, g = 0, b = 0] = (color.match(/\d+/g) ?? []).map((text) => {
      const value = Number(text) / 255;
      return value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const [dark = 0, bright = 0] = [light(ink), light(paper)].sort((a, b) => a - b);
  return (bright + 0.05) / (dark + 0.05);
}
