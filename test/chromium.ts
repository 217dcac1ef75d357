import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import puppeteer, { type Browser, type Page } from 'puppeteer-core';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/** Milliseconds that a browser may take on a busy machine for what it does at once on another. */
const PATIENCE = 600_000;

/** The path of a browser of this machine, or undefined. */
export function findChromium(): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter);
  const paths = NAMES.flatMap((name) => folders.map((folder) => join(folder, name)));
  return [process.env.CHROMIUM, ...paths].find((path) => path && existsSync(path));
}

export interface OpenPage {
  readonly browser: Browser;
  readonly page: Page;
  /** What the page did that it should not: errors of its script, and requests that leave it. */
  readonly complaints: readonly string[];
}

/**
 * A page in a headless browser of its own.
 *
 * @param own requests that it may make.
 */
export async function openPage(
  executablePath: string,
  url: string,
  own = /^(file|data):/,
): Promise<OpenPage> {
  const browser = await puppeteer.launch({
    executablePath,
    pipe: true,
    timeout: PATIENCE,
    protocolTimeout: PATIENCE,
    // Chromium's sandbox does not start as root, as whom containers run; these pages are ours.
    args: ['--no-sandbox', '--disable-gpu'],
    defaultViewport: { width: 1000, height: 900 },
  });
  const page = await browser.newPage();
  page.setDefaultTimeout(PATIENCE);
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => complaints.push(message.text()));
  page.on('request', (request) => {
    if (!own.test(request.url())) complaints.push(`request for ${request.url()}`);
  });
  await page.goto(url);
  return { browser, page, complaints };
}
