import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/** A browser of this machine, or undefined. */
export function findChromium(): string | undefined {
  const isThere = (name: string) => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0;
  return [process.env.CHROMIUM, ...NAMES].find((name) => name && isThere(name));
}

type Answer = { id?: number; method?: string; result?: unknown; error?: { message: string } };

/** A page in a headless browser, driven by the DevTools protocol over pipes. */
export class BrowserPage {
  #next = 1;
  #session = '';
  #buffer = '';
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  /** What the page did that it should not: errors of its script, and requests that leave it. */
  readonly complaints: string[] = [];

  private constructor(
    private readonly browser: ChildProcess,
    private readonly profile: string,
  ) {
    (browser.stdio[4] as Readable).setEncoding('utf8').on('data', (text: string) => this.#read(text));
  }

  static async open(executable: string, url: string, width = 1000, height = 900): Promise<BrowserPage> {
    const profile = mkdtempSync(join(tmpdir(), 'deepcache-chromium-'));
    const quiet = ['quic', 'gpu', 'background-networking', 'component-update', 'sync', 'extensions'];
    const flags = [
      '--headless',
      '--no-sandbox',
      '--no-first-run',
      ...quiet.map((name) => `--disable-${name}`),
    ];
    const browser = spawn(executable, [...flags, '--remote-debugging-pipe', `--user-data-dir=${profile}`], {
      stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
    });
    const page = new BrowserPage(browser, profile);
    const { targetId } = (await page.send('Target.createTarget', { url: 'about:blank' })) as {
      targetId: string;
    };
    const attached = await page.send('Target.attachToTarget', { targetId, flatten: true });
    page.#session = (attached as { sessionId: string }).sessionId;
    for (const domain of ['Page', 'Runtime', 'Network', 'Log']) await page.send(`${domain}.enable`);
    await page.resize(width, height);
    await page.goto(url);
    return page;
  }

  async goto(url: string): Promise<void> {
    await this.send('Page.navigate', { url });
    while (!(await this.evaluate("document.readyState === 'complete' && location.href !== 'about:blank'"))) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async send(method: string, params: object = {}): Promise<unknown> {
    const id = this.#next++;
    const session = this.#session ? { sessionId: this.#session } : {};
    const answer = new Promise<Answer>((resolve) => this.#waiting.set(id, resolve));
    (this.browser.stdio[3] as Writable).write(`${JSON.stringify({ id, method, params, ...session })}\0`);
    const { result, error } = await answer;
    if (error) throw new Error(`${method}: ${error.message}`);
    return result;
  }

  /** The value of an expression in the page. */
  async evaluate(expression: string): Promise<unknown> {
    const answer = await this.send('Runtime.evaluate', {
      expression,
      returnByValue: true,
      awaitPromise: true,
    });
    const { result, exceptionDetails } = answer as { result: { value: unknown }; exceptionDetails?: object };
    if (exceptionDetails) throw new Error(`${expression}: ${JSON.stringify(exceptionDetails)}`);
    return result.value;
  }

  async resize(width: number, height: number): Promise<void> {
    await this.send('Emulation.setDeviceMetricsOverride', {
      width,
      height,
      deviceScaleFactor: 1,
      mobile: false,
    });
  }

  async colorScheme(value: 'dark' | 'light'): Promise<void> {
    await this.send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value }] });
  }

  /** Presses the mouse at the first point and moves it through the others. */
  async drag(points: readonly (readonly [number, number])[]): Promise<void> {
    const event = (type: string, [x, y]: readonly [number, number]) =>
      this.send('Input.dispatchMouseEvent', { type, x, y, button: 'left', buttons: 1, clickCount: 1 });
    const [first, ...rest] = points as readonly [readonly [number, number]];
    await event('mousePressed', first);
    for (const point of rest) await event('mouseMoved', point);
    await event('mouseReleased', points.at(-1) as readonly [number, number]);
  }

  async press(key: string, code: number): Promise<void> {
    const event = { key, code: key, windowsVirtualKeyCode: code };
    await this.send('Input.dispatchKeyEvent', { type: 'keyDown', ...event });
    await this.send('Input.dispatchKeyEvent', { type: 'keyUp', ...event });
  }

  /** A PNG of what is to be seen. */
  async screenshot(): Promise<Buffer> {
    const { data } = (await this.send('Page.captureScreenshot', { format: 'png' })) as { data: string };
    return Buffer.from(data, 'base64');
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.browser.once('exit', resolve));
    this.#session = '';
    await this.send('Browser.close');
    await ended;
    // Its helper processes write to the profile for a moment longer.
    await rm(this.profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
  }

  #read(text: string): void {
    const messages = (this.#buffer + text).split('\0');
    this.#buffer = messages.pop() as string;
    for (const message of messages) this.#receive(JSON.parse(message));
  }

  #receive(answer: Answer & { params?: Record<string, unknown> }): void {
    if (answer.id !== undefined) {
      this.#waiting.get(answer.id)?.(answer);
      this.#waiting.delete(answer.id);
      return;
    }
    const text = JSON.stringify(answer.params);
    if (answer.method === 'Runtime.exceptionThrown' || answer.method === 'Log.entryAdded')
      this.complaints.push(text);
    const { url } = (answer.params?.request ?? {}) as { url?: string };
    if (answer.method === 'Network.requestWillBeSent' && !/^(file|data):/.test(url ?? '')) {
      this.complaints.push(`request for ${url}`);
    }
  }
}
