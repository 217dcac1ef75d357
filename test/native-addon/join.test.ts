import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { DenoiseRequest, NativeUnet } from '../../lib/native/types.js';
import type { StepTable } from '../../lib/schedulers/table.js';
import { until } from '../until.js';
import { codeOf, loadUnet, noise, row } from './tiny-model.js';

// Jobs that go together give bit for bit what each gives alone, whenever they come and go.

const [SIDE, LENGTH, WIDTH] = [8, 7, 32];
const SAMPLE = 4 * SIDE * SIDE;

let unet: NativeUnet;
beforeAll(async () => {
  unet = await loadUnet();
});
afterAll(() => unet.dispose());

function request(table: StepTable, seed: number, outputs: 1 | 2 = 2): DenoiseRequest {
  return {
    batch: 1,
    outputs,
    height: SIDE,
    width: SIDE,
    table,
    latents: noise(SAMPLE, seed),
    context: noise(outputs * LENGTH * WIDTH, seed + 1),
    contextLength: LENGTH,
    noise: noise(20 * SAMPLE, seed + 2),
  };
}

/** Like DDIM: a full call every three rows. */
const ddim: StepTable = {
  programs: [{ kind: 'full' }, { kind: 'retrieve', branch: 2 }],
  rows: Array.from({ length: 10 }, (_, i) =>
    row(i, { program: i % 3 === 0 ? 0 : 1, guidance: { scale: 7.5, rescale: 0 } }),
  ),
};

/** Like ancestral DPM++: history, fresh noise, a full call every two rows, guidance that ends early. */
const dpm: StepTable = {
  programs: [
    { kind: 'full' },
    { kind: 'retrieve', branch: 0 },
    { kind: 'full', halves: 'conditional' },
    { kind: 'retrieve', branch: 0, halves: 'conditional' },
  ],
  rows: Array.from({ length: 7 }, (_, i) =>
    row(i, {
      program: (i < 5 ? 0 : 2) + (i % 2),
      timestep: 990 - 140 * i,
      ...(i < 5 && { guidance: { scale: 3, rescale: 0.5 } }),
      noise: i,
      assign: [
        {
          to: 'x',
          terms: [
            { slot: 'x', coefficient: 0.9 },
            { slot: 'm', coefficient: -0.1 },
            { slot: 's0', coefficient: -0.05 },
            { slot: 'noise', coefficient: 0.1 },
          ],
        },
        { to: 's0', terms: [{ slot: 'x0', coefficient: 1 }] },
      ],
    }),
  ),
};

const plain: StepTable = { programs: [{ kind: 'full' }], rows: Array.from({ length: 12 }, (_, i) => row(i)) };
const endless: StepTable = {
  programs: [{ kind: 'full' }],
  rows: Array.from({ length: 50_000 }, (_, i) => row(0, { timestep: i % 900 })),
};

const requests = () => [request(ddim, 1), request(dpm, 11), request(plain, 21, 1)] as const;

describe('jobs that join', () => {
  test('give what they give alone', async () => {
    const alone: Float32Array[] = [];
    for (const one of requests()) alone.push((await unet.denoise(one).promise).latents);
    const [first, second, third] = requests();
    const rows: number[] = [];
    let late: Promise<Float32Array> | undefined;
    // The second joins when the first has done three rows.
    const early = unet.denoise({ ...first, join: true, latentsEvery: 1 }, ({ row }) => {
      rows.push(row);
      if (row === 2) late = unet.denoise({ ...second, join: true }).promise.then(({ latents }) => latents);
    });
    const other = unet.denoise({ ...third, join: true });
    expect((await early.promise).latents).toEqual(alone[0]);
    expect(rows).toEqual([...ddim.rows.keys()]);
    expect(await late).toEqual(alone[1]);
    expect((await other.promise).latents).toEqual(alone[2]);
  });

  test('leave when they are cancelled, and the others go on', async () => {
    const [first] = requests();
    const alone = (await unet.denoise(first).promise).latents;
    let started = () => {};
    const running = new Promise<void>((resolve) => {
      started = resolve;
    });
    const leaver = unet.denoise({ ...request(endless, 31, 1), noise: noise(SAMPLE), join: true }, () =>
      started(),
    );
    const left = codeOf(leaver.promise);
    await running;
    const stays = unet.denoise({ ...first, join: true }, ({ row }) => {
      if (row === 4) leaver.cancel();
    });
    expect((await stays.promise).latents).toEqual(alone);
    expect(await left).toBe('ERR_DEEPCACHE_ABORTED');
  });

  test('fail for themselves', async () => {
    const [first] = requests();
    const alone = (await unet.denoise(first).promise).latents;
    const bad = { ...request(ddim, 41), latents: new Float32Array(SAMPLE).fill(3e38), join: true };
    const codes = codeOf(unet.denoise(bad).promise);
    const thrown = codeOf(
      unet.denoise({ ...request(ddim, 42), join: true }, () => {
        throw Object.assign(new Error('mine'), { code: 'MINE' });
      }).promise,
    );
    expect((await unet.denoise({ ...first, join: true }).promise).latents).toEqual(alone);
    expect(await codes).toBe('ERR_DEEPCACHE_NOT_FINITE');
    expect(await thrown).toBe('MINE');
  });

  test('let other jobs in between their rows', async () => {
    const [first, second] = requests();
    const alone = (await unet.denoise(second).promise).latents;
    const endlessJob = unet.denoise({ ...request(endless, 51, 1), noise: noise(SAMPLE), join: true });
    const ended = codeOf(endlessJob.promise);
    expect((await unet.denoise(second).promise).latents).toEqual(alone);
    expect(await codeOf(() => unet.feature(0))).toBe('ERR_DEEPCACHE_INVALID_ARGUMENT');
    unet.trim();
    expect((await unet.denoise({ ...first, join: true }).promise).latents).toHaveLength(SAMPLE);
    endlessJob.cancel();
    expect(await ended).toBe('ERR_DEEPCACHE_ABORTED');
  });

  test('end with the model', async () => {
    const model = await loadUnet();
    const jobs = [61, 71].map((seed) =>
      model.denoise({ ...request(endless, seed, 1), noise: noise(SAMPLE), join: true }),
    );
    const codes = Promise.all(jobs.map(({ promise }) => codeOf(promise)));
    model.dispose();
    expect(await codes).toEqual(['ERR_DEEPCACHE_DISPOSED', 'ERR_DEEPCACHE_DISPOSED']);
  });

  test('run a row when a tick names them, and with whom it says', async () => {
    const alone: Float32Array[] = [];
    for (const one of requests()) alone.push((await unet.denoise(one).promise).latents);
    const order: string[] = [];
    let ready = 0;
    let tell = () => {};
    const all = new Promise<void>((resolve) => {
      tell = resolve;
    });
    const jobs = requests().map((one, i) =>
      unet.denoise({ ...one, join: i + 1 }, ({ row }) => {
        order.push(`${i + 1}:${row}`);
        if (row < 0 && ++ready === 3) tell();
      }),
    );
    // One without a number goes on by itself.
    const [free] = requests();
    expect((await unet.denoise({ ...free, join: true }).promise).latents).toEqual(alone[0]);
    await all;
    expect(order.sort()).toEqual(['1:-1', '2:-1', '3:-1']);
    order.length = 0;
    // Nobody has the number 9. Each waits for its own ticks: the third gets all of its rows while the others have none. Events of
    // different jobs may come in another order than their rows ran in, so each part is waited for.
    for (let i = 0; i < 12; i++) unet.tick([3, 9]);
    await jobs[2]?.promise;
    expect(order.filter((event) => !event.startsWith('3:'))).toEqual([]);
    for (let i = 0; i < 3; i++) unet.tick([1]);
    await until(() => order.includes('1:2'));
    expect(order.filter((event) => event.startsWith('2:'))).toEqual([]);
    for (let i = 0; i < 7; i++) unet.tick([2, 1]);
    const latents = await Promise.all(jobs.map(({ promise }) => promise));
    expect(latents.map((result) => result.latents)).toEqual(alone);
  });

  test('are left out of ticks when they are gone', async () => {
    const [first, second] = requests();
    const alone = (await unet.denoise(first).promise).latents;
    let count = 0;
    const waits = () => {
      if (++count === 2) leaver.cancel();
    };
    const leaver = unet.denoise({ ...second, join: 1 }, waits);
    const left = codeOf(leaver.promise);
    const stays = unet.denoise({ ...first, join: 2 }, waits);
    for (let i = 0; i < 10; i++) unet.tick([1, 2]);
    // Ticks that were ordered before it came do not count.
    expect(await left).toBe('ERR_DEEPCACHE_ABORTED');
    for (let i = 0; i < 10; i++) unet.tick([1, 2]);
    expect((await stays.promise).latents).toEqual(alone);
  });

  test.each([[0], [1.5], ['yes'], [2 ** 31]])('join is true, false or a number, not %p', async (join) => {
    const bad = { ...request(plain, 1, 1), join } as unknown as DenoiseRequest;
    expect(await codeOf(() => unet.denoise(bad))).toBe('ERR_DEEPCACHE_INVALID_ARGUMENT');
    expect(await codeOf(() => unet.tick([join as number]))).toBe('ERR_DEEPCACHE_INVALID_ARGUMENT');
  });
});
