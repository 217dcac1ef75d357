import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';

// Environments that end in the middle of a job, in processes of their own.

const PRELUDE = `
  import { readdirSync } from 'node:fs';
  import { Worker } from 'node:worker_threads';
  import { denoiseRequest, loadUnet, source } from './test/native-addon/tiny-model.js';
  import { native } from './lib/native/binding.js';
`;

/** Runs a module in a fresh process. */
function run(code: string, env: Record<string, string> = {}) {
  const { status, signal, stdout, stderr } = spawnSync(
    process.execPath,
    ['--expose-gc', '--import', 'tsx', '--input-type=module', '--eval', PRELUDE + code],
    { encoding: 'utf8', timeout: 600_000, env: { ...process.env, ...env } },
  );
  return { status, signal, stdout: stdout.trim(), stderr };
}

/** `start(code)`: a worker of plain JavaScript with `addon`, `load()` and `request`; resolves with it at its first
 * message. */
const WORKERS = `
  const setup = \`
    const { parentPort, workerData: { sources, request } } = require('node:worker_threads');
    const addon = require('node-gyp-build')(process.cwd());
    const load = () => addon.loadUnet(new addon.Backend({ device: 'cpu', threads: 2 }), sources).promise;
    const ignored = () => {};
  \`;
  const start = (code) => new Promise((resolve, reject) => {
    const workerData = { sources: source('unet'), request: denoiseRequest(1000, 64) };
    const worker = new Worker(setup + code, { eval: true, execArgv: [], workerData });
    worker.once('message', () => resolve(worker));
    worker.once('error', reject);
  });
  const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
`;

describe('a worker', () => {
  test('that is terminated in the middle of a job joins its threads', () => {
    const { status, stdout, stderr } = run(`${WORKERS}
      for (let i = 0; i < 8; i++) {
        const worker = await start(\`
          load().then((unet) => {
            const tell = ({ row }) => row === 0 && parentPort.postMessage('running');
            unet.denoise(request, tell).promise.catch(ignored);
            unet.denoise(request).promise.catch(ignored);
          });
        \`);
        if (i % 2) await sleep(10 * i);
        await worker.terminate();
      }
      const unet = await loadUnet();
      console.log((await unet.denoise(denoiseRequest(2)).promise).latents.length);
    `);
    expect(stderr).toBe('');
    expect({ status, stdout }).toEqual({ status: 0, stdout: '256' });
  });

  test('that is terminated while jobs wait for arrays, and fill them', () => {
    const { status, stdout, stderr } = run(`${WORKERS}
      for (let i = 0; i < 8; i++) {
        const worker = await start(\`
          for (let i = 0; i < 4; i++) {
            const draw = () => new addon.Generator(1n).draw(1 << 18).promise.then(draw, ignored);
            draw();
          }
          parentPort.postMessage('running');
          // A thread that does not come to make them.
          if (\${i % 2}) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10_000);
        \`);
        await sleep(10 * i);
        await worker.terminate();
      }
      console.log('alive');
    `);
    expect(stderr).toBe('');
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'alive' });
  });

  test('that is terminated while it loads', () => {
    const { status, stdout, stderr } = run(`${WORKERS}
      for (let i = 0; i < 8; i++) {
        const worker = await start(\`load().catch(ignored); parentPort.postMessage('loading');\`);
        await sleep(2 * i);
        await worker.terminate();
      }
      console.log('alive');
    `);
    expect(stderr).toBe('');
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'alive' });
  });

  test('that ends itself from within onStep', () => {
    const { status, stdout, stderr } = run(`${WORKERS}
      const worker = await start(\`
        load().then((unet) => unet.denoise(request, ({ row }) => {
          if (row === 0) parentPort.postMessage('running');
          if (row === 3) process.exit(9);
        }));
      \`);
      console.log(await new Promise((resolve) => worker.once('exit', resolve)));
    `);
    expect(stderr).toBe('');
    expect({ status, stdout }).toEqual({ status: 0, stdout: '9' });
  });
});

describe('the main thread', () => {
  test('exits in the middle of a job with the status it was given', () => {
    const { status, stderr } = run(`
      const unet = await loadUnet();
      unet.denoise(denoiseRequest(1000, 64)).promise.catch(() => {});
      setTimeout(() => process.exit(7), 50);
    `);
    expect({ status, stderr }).toEqual({ status: 7, stderr: '' });
  });

  test('exits from within onStep', () => {
    const { status, stderr } = run(`
      const unet = await loadUnet();
      unet.denoise(denoiseRequest(1000, 64), ({ row }) => { if (row === 5) process.exit(8); });
    `);
    expect({ status, stderr }).toEqual({ status: 8, stderr: '' });
  });

  test('leaves no half-written file when it exits', () => {
    const folder = mkdtempSync(join(tmpdir(), 'deepcache-exit-'));
    const { status, stdout, stderr } = run(
      `
      const options = { path: process.env.FOLDER + '/w', tensors: [{ name: 'w', shape: [1 << 15, 1 << 14] }] };
      native().writeSynthetic({ ...options, dtype: 'float32' }, () => {
        console.log(readdirSync(process.env.FOLDER).length);
        process.exit(0);
      });
    `,
      { FOLDER: folder },
    );
    const left = readdirSync(folder);
    rmSync(folder, { recursive: true });
    expect({ status, stdout, stderr, left }).toEqual({ status: 0, stdout: '1', stderr: '', left: [] });
  });

  test('does not exit before a pending job has settled', () => {
    const { status, stdout, stderr } = run(`
      const unet = await loadUnet();
      unet.denoise(denoiseRequest(10)).promise.then(({ latents }) => console.log(latents.length));
    `);
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '256', stderr: '' });
  });

  test('collects jobs and models that nobody holds', () => {
    const { status, stdout, stderr } = run(`
      let collected = 0;
      const registry = new FinalizationRegistry(() => { collected++; });
      for (let i = 0; i < 10; i++) {
        const unet = await loadUnet();
        registry.register(unet);
        unet.denoise(denoiseRequest(5));
      }
      for (let i = 0; i < 10_000 && collected < 8; i++) {
        gc();
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      console.log(collected >= 8);
    `);
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: 'true', stderr: '' });
  });
});
