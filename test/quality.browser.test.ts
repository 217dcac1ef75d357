import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Page } from 'puppeteer-core';
import { Image } from '../lib/index.js';
import { measureQuality, qualityPage } from '../lib/quality/index.js';
import { findChromium, type OpenPage, openPage } from './chromium.js';
import { loadTiny } from './pipelines/tiny.js';

const chromium = findChromium();
const PROMPTS = [
  'a <b>bold</b> "house" </script><script>alert(1)</script>',
  `a dog ${'and a cat '.repeat(60)}`,
];

// Without a browser there is nothing to test in one.
(chromium ? describe : describe.skip)('the page of quality in a browser', () => {
  let folder: string;
  let opened: OpenPage;
  let page: Page;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'deepcache-quality-page-'));
    await using pipe = await loadTiny();
    const settings = [{ interval: 2 }, { interval: 5, branch: 3 }, { steps: [0, 2], branch: 1 }];
    const report = await measureQuality(pipe, { steps: 9 }, settings, { prompts: PROMPTS, seed: 1 });
    const file = join(folder, 'page.html');
    writeFileSync(file, await qualityPage(report));
    opened = await openPage(chromium as string, pathToFileURL(file).href);
    page = opened.page;
  });
  afterAll(async () => {
    await opened?.browser.close();
    rmSync(folder, { recursive: true });
  });

  const list = async (selector: string, value: string) =>
    (await page.evaluate(`[...document.querySelectorAll('${selector}')].map((it) => ${value})`)) as string[];
  const names = () => list('#figures tbody th', 'it.textContent');
  const click = (selector: string) => page.evaluate(`document.querySelector('${selector}').click()`);

  test('has all prompts as text, pictures, and a point for every setting', async () => {
    expect(await list('h3', 'it.textContent')).toEqual(PROMPTS.map((prompt) => prompt));
    expect(await list('.pictures img', 'it.naturalWidth')).toEqual(Array(8).fill(64));
    expect(await list('.chart g[data-setting] circle', 'it.getAttribute("class")')).toEqual([
      'branch0',
      'branch3',
      'branch1 uneven',
    ]);
    expect(await list('.notes li', 'it.textContent')).toEqual([
      expect.stringMatching(/^prompt\[1\] is too long/),
    ]);
  });

  test('a click on a title sorts by numbers, a second one the other way; pictures follow', async () => {
    const full = () => list('#figures tbody td:nth-child(2)', 'Number(it.textContent)');
    const title = '#figures th:nth-child(2) button';
    await click(title);
    expect(await full()).toEqual([2, 2, 5, 10]);
    expect(await list('#figures [aria-sort]', 'it.getAttribute("aria-sort")')).toEqual(['ascending']);
    await click(title);
    expect(await full()).toEqual([10, 5, 2, 2]);
    await click('#figures th:nth-child(5) button'); // PSNR, of which one is infinite
    const order = await names();
    expect(order.at(-1)).toBe('no cache');
    const pictures = (await page.evaluate(
      "[...document.querySelectorAll('section:first-of-type figure')].sort((a, b) => getComputedStyle(a).order - getComputedStyle(b).order).map((it) => it.querySelector('figcaption').firstChild.textContent)",
    )) as string[];
    expect(pictures).toEqual(['no cache', ...order.slice(0, -1)]);
  });

  test('settings can be taken out of the pictures', async () => {
    const shown = () => list('.pictures figure:not([hidden])', 'it.dataset.setting');
    await click('#figures tr[data-setting="2"] input');
    expect((await shown()).sort()).toEqual(['0', '0', '1', '1', '3', '3']);
    expect(await page.evaluate("document.querySelector('#everything').indeterminate")).toBe(true);
    await click('#everything');
    expect(await shown()).toHaveLength(8);
  });

  test('differences leave the reference and darken what is alike', async () => {
    await page.evaluate("document.querySelector('.tools').scrollIntoView()");
    const mean = async (setting: number) => {
      const box = (await page.evaluate(
        `(({left, top, width, height}) => ({left, top, width, height}))(document.querySelector('figure[data-setting="${setting}"] img').getBoundingClientRect())`,
      )) as { left: number; top: number; width: number; height: number };
      const { data, width } = await Image.open(await page.screenshot());
      let sum = 0;
      for (let i = 1; i < 10; i++) {
        for (let k = 1; k < 10; k++) {
          const x = Math.round(box.left + (i / 10) * box.width);
          const y = Math.round(box.top + (k / 10) * box.height);
          sum += (data[(y * width + x) * 3] as number) / 81;
        }
      }
      return sum;
    };
    const before = [await mean(0), await mean(1)] as const;
    await click('#difference');
    expect(await mean(0)).toBe(before[0]);
    expect(await mean(1)).not.toBe(before[1]);
    await click('#difference');
  });

  test('fits a phone without scrolling sideways, and asks nothing of the network', async () => {
    await page.setViewport({ width: 360, height: 740 });
    const [inside, room] = (await page.evaluate(
      '[document.documentElement.scrollWidth, document.documentElement.clientWidth]',
    )) as [number, number];
    expect(inside).toBe(room);
    expect(opened.complaints).toEqual([]);
  });
});
