import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
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
  let opened: OpenPage;
  let page: Page;
  beforeAll(async () => {
    engine = new FakeEngine();
    engine.onJob = () => {};
    server = await ImageServer.create(engine, {
      log: 'silent',
      closeSeconds: 0,
      keys: [entry],
      reconnectSeconds: 0,
    });
    const base = await server.listen();
    opened = await openPage(chromium as string, `${base}/`, new RegExp(`^(data:|blob:)|^${base}/`));
    page = opened.page;
  });
  afterAll(async () => {
    await opened?.browser.close();
    await server?.close();
  });

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
    await until(async () => (await textOf('#queue .about')) === 'waits, 0 before it');
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
    expect(await evaluate("document.querySelector('#gallery img').naturalWidth")).toBe(64);
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
    const picture = new Image({ width: 16, height: 16, data: new Uint8Array(768) });
    const { mkdtempSync } = await import('node:fs');
    const { tmpdir } = await import('node:os');
    const file = join(mkdtempSync(join(tmpdir(), 'deepcache-page-')), 'start.png');
    await picture.save(file);
    await page.click('summary');
    const input = await page.$('#image');
    await (input as unknown as { uploadFile(path: string): Promise<void> }).uploadFile(file);
    await page.click('button[type=submit]');
    await until(() => jobs().length === 3);
    expect(jobs()[2]?.request.task).toBe('image-to-image');
    jobs()[2]?.finish();
    await until(async () => (await count('#gallery li')) === 2);
    await page.click('#no-image');
    await page.click('summary');
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
    await page.click('button[type=submit]');
    await until(() => jobs().length === 4);
    await page.goto('about:blank');
    await until(() => jobs()[3]?.state === 'cancelled');
  });

  test('asks nothing of others, and its script has no errors', () => {
    const expected = /401|400/;
    expect(opened.complaints.filter((text) => !expected.test(text))).toEqual([]);
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
