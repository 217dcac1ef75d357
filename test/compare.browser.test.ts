import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Page } from 'puppeteer-core';
import { compare } from '../lib/compare/index.js';
import { Image } from '../lib/index.js';
import { findChromium, type OpenPage, openPage } from './chromium.js';
import { loadTiny } from './pipelines/tiny.js';

const chromium = findChromium();
const PROMPTS = ['a <b>bold</b> "house" & </script><script>alert(1)</script>', 'a dog'];
type Point = readonly [x: number, y: number];
// Set to a folder to look at the page.
const screenshots = process.env.SCREENSHOTS;

// Without a browser there is nothing to test in one.
(chromium ? describe : describe.skip)('the page of a comparison in a browser', () => {
  let folder: string;
  let opened: OpenPage;
  let page: Page;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'deepcache-page-'));
    await using pipe = await loadTiny();
    const comparison = await compare(pipe, { prompt: PROMPTS, steps: 9, seed: 1 }, [{ interval: 2 }, 'fast']);
    const file = join(folder, 'page.html');
    writeFileSync(file, await comparison.html());
    opened = await openPage(chromium as string, pathToFileURL(file).href);
    page = opened.page;
  });
  afterAll(async () => {
    await opened?.browser.close();
    rmSync(folder, { recursive: true });
  });

  const value = async () => Number(await page.evaluate("document.querySelector('#wipe').value"));
  const box = async () =>
    (await page.evaluate(
      "(({left, top, width, height}) => ({left, top, width, height}))(document.querySelector('.stage').getBoundingClientRect())",
    )) as { left: number; top: number; width: number; height: number };
  /** Which runs are shown, the topmost last, and where the cached one begins. */
  const shown = () =>
    page.evaluate(
      "[...document.querySelectorAll('.pictures img:not([hidden])')].map((p) => p.dataset.row + '/' + p.dataset.run)",
    );
  /** Presses the mouse at the first point and moves it through the others. */
  const drag = async ([first, ...others]: [Point, ...Point[]]) => {
    await page.mouse.move(...first);
    await page.mouse.down();
    for (const point of others) await page.mouse.move(...point);
    await page.mouse.up();
  };
  const capture = async (name: string) => {
    const png = await page.screenshot();
    if (screenshots) writeFileSync(join(screenshots, `${name}.png`), png);
    return Image.open(png);
  };
  const pixel = ({ width, data }: Image, x: number, y: number) => {
    const at = (Math.round(y) * width + Math.round(x)) * 3;
    return [...data.subarray(at, at + 3)];
  };

  test('shows the first setting over the reference, cut in the middle', async () => {
    expect(await shown()).toEqual(['0/0', '0/1']);
    expect(await value()).toBe(50);
    const label = "document.querySelector('input[name=row] + span')";
    expect(await page.evaluate(`${label}.textContent`)).toBe(PROMPTS[0]);
    expect(await page.evaluate(`${label}.children.length`)).toBe(0);
    expect(await page.evaluate("document.querySelector('.name.right').textContent")).toBe('interval=2');
    await capture('light');
  });

  test('the mouse drags the cut to where it is', async () => {
    const { left, top, width, height } = await box();
    const y = top + height / 2;
    const at = (share: number) => [left + share * width, y] as const;
    await drag([at(0.5), at(0.7), at(0.25)]);
    expect(await value()).toBe(25);
    // Once released, moving does nothing.
    await page.mouse.move(left + 0.9 * width, y);
    expect(await value()).toBe(25);
    await drag([at(0.8)]);
    expect(await value()).toBe(80);
  });

  test('left of the cut is the reference, right of it the setting', async () => {
    const { left, top, width, height } = await box();
    const cut = async (share: number) => {
      await drag([[left + share * width, top + height / 2]]);
      return capture(`cut-${share}`);
    };
    const [reference, setting, half] = [await cut(0.99), await cut(0.01), await cut(0.5)];
    let different = 0;
    // In the middle of the picture's height, where no label is.
    for (const x of [0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9]) {
      for (const y of [0.3, 0.5, 0.7]) {
        const at = [left + x * width, top + y * height] as const;
        const [a, b] = [pixel(reference, ...at), pixel(setting, ...at)];
        if (a.join() !== b.join()) different++;
        expect(pixel(half, ...at)).toEqual(x < 0.5 ? a : b);
      }
    }
    expect(different).toBeGreaterThan(12);
  });

  test('arrow keys move the cut', async () => {
    await page.evaluate("document.querySelector('#wipe').focus()");
    const before = await value();
    for (let i = 0; i < 3; i++) await page.keyboard.press('ArrowRight');
    expect(await value()).toBe(before + 3);
    await page.keyboard.press('Home');
    expect(await value()).toBe(0);
    expect(await page.evaluate("document.querySelector('.stage').style.getPropertyValue('--at')")).toBe('0%');
  });

  test('arrow keys choose the setting and the picture', async () => {
    const figures = () => page.evaluate("document.querySelector('output').textContent");
    const before = await figures();
    expect(before).toMatch(/^PSNR \d+\.\d dB, SSIM -?\d\.\d{4}, L2 /);
    await page.evaluate("document.querySelector('input[name=setting]:checked').focus()");
    await page.keyboard.press('ArrowRight');
    expect(await shown()).toEqual(['0/0', '0/2']);
    expect(await figures()).not.toBe(before);
    await page.evaluate("document.querySelector('input[name=row]:checked').focus()");
    await page.keyboard.press('ArrowRight');
    expect(await shown()).toEqual(['1/0', '1/2']);
    expect(await page.evaluate("document.querySelector('tr.current th').textContent")).toBe('fast');
  });

  test('the difference of equal pictures would be black; of these it is not', async () => {
    const { left, top, width, height } = await box();
    await page.evaluate("document.querySelector('#difference').click()");
    const picture = await capture('difference');
    await page.evaluate("document.querySelector('#difference').click()");
    const colors = [0.2, 0.4, 0.6, 0.8].map((x) => pixel(picture, left + x * width, top + height / 2));
    expect(colors.some(([r = 0, g = 0, b = 0]) => r + g + b > 0)).toBe(true);
  });

  test('follows the colors of the system', async () => {
    const colorScheme = (value: string) =>
      page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value }]);
    const paper = () => page.evaluate('getComputedStyle(document.body).backgroundColor');
    await colorScheme('light');
    expect(await paper()).toBe('rgb(255, 255, 255)');
    await colorScheme('dark');
    expect(await paper()).toBe('rgb(20, 20, 23)');
    await capture('dark');
  });

  test('fits a phone without scrolling sideways', async () => {
    await page.setViewport({ width: 360, height: 740 });
    const [inside, room] = (await page.evaluate(
      '[document.documentElement.scrollWidth, document.documentElement.clientWidth]',
    )) as [number, number];
    expect(inside).toBe(room);
    expect((await box()).width).toBeGreaterThan(300);
    await capture('phone');
  });

  test('asks nothing of the network, and its script has no errors', () => {
    expect(opened.complaints).toEqual([]);
  });
});
