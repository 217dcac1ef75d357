import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { NativeUnet } from '../../lib/native/types.js';
import { type Any, errorOf, rejects } from './rejects.js';
import { denoiseRequest, loadUnet, noise, row } from './tiny-model.js';

// Denoise requests and step tables that are wrong.

let unet: NativeUnet;
beforeAll(async () => {
  unet = await loadUnet();
});
afterAll(() => unet.dispose());

const denoise = (changes: object) => () => unet.denoise({ ...denoiseRequest(2), ...changes } as Any);
const withRow = (changes: object, programs: object[] = [{ kind: 'full' }]) =>
  denoise({ table: { programs, rows: [row(0), { ...row(1), ...changes }] } });

rejects([
  ['four outputs', denoise({ outputs: 4 }), 'outputs must be an integer from 1 to 3, got 4'],
  ['no table', denoise({ table: undefined }), 'table must be an object, got undefined'],
  ['no rows', denoise({ table: { programs: [{ kind: 'full' }], rows: [] } }), /table\.rows must be/],
  ['no programs', denoise({ table: { programs: [], rows: [row(0)] } }), /table\.programs must be/],
  [
    'rows that are no array',
    denoise({ table: { programs: [{ kind: 'full' }], rows: {} } }),
    /rows must be an array/,
  ],
  [
    'a row that is null',
    denoise({ table: { programs: [{ kind: 'full' }], rows: [null] } }),
    /rows\[0\] must be an object, got null/,
  ],
  [
    'an unknown kind',
    withRow({}, [{ kind: 'half' }]),
    /programs\[0\]\.kind must be 'full' or 'retrieve', got "half"/,
  ],
  [
    'retrieve without a branch',
    withRow({}, [{ kind: 'retrieve' }]),
    /programs\[0\]\.branch must be an integer/,
  ],
  [
    'an unknown branch',
    withRow({ program: 1 }, [{ kind: 'full' }, { kind: 'retrieve', branch: 12 }]),
    /branch 12 does not exist/,
  ],
  [
    'retrieve first',
    denoise({ table: { programs: [{ kind: 'retrieve', branch: 0 }], rows: [row(0)] } }),
    /row 0: the first call of a run must be full/,
  ],
  [
    'a program that is not there',
    withRow({ program: 1 }),
    /rows\[1\]\.program must be an integer from 0 to 0, got 1/,
  ],
  ['no timestep', withRow({ timestep: undefined }), /rows\[1\]\.timestep must be a number, got undefined/],
  [
    'too few per-sample numbers',
    withRow({ timestep: [] }),
    /rows\[1\]\.timestep must be a number or an array of 1/,
  ],
  [
    'a number too large for fp32',
    withRow({ inputScale: 1e39 }),
    /rows\[1\]\.inputScale must be a number that fp32 can hold/,
  ],
  [
    'guidance with one half',
    withRow({ guidance: { scale: 2, rescale: 0 } }),
    /row 1: guidance needs two halves/,
  ],
  [
    'clamp and threshold',
    withRow({ x0: { x: 1, m: 0, clamp: 1, threshold: { ratio: 1, max: 1 } } }),
    /rows\[1\]\.x0 has both/,
  ],
  ['a clamp of 0', withRow({ x0: { x: 1, m: 0, clamp: 0 } }), /x0\.clamp must be a positive number/],
  [
    'a ratio above 1',
    withRow({ x0: { x: 1, m: 0, threshold: { ratio: 2, max: 1 } } }),
    /needs a ratio in \(0, 1\]/,
  ],
  ['an unknown slot', withRow({ assign: [{ to: 's10', terms: [] }] }), /assign\[0\]\.to must be one of/],
  ['assigning to m', withRow({ assign: [{ to: 'm', terms: [{ slot: 'x', coefficient: 1 }] }] }), /read-only/],
  [
    '65 terms in one row',
    withRow({ assign: [40, 25].map((n) => ({ to: 'x', terms: Array(n).fill(row(0).assign[0]?.terms[0]) })) }),
    /row 1: has more than 64 terms/,
  ],
  [
    'a program and a prediction',
    withRow({ predict: row(0).assign[0]?.terms }),
    /rows\[1\] has both a program and a prediction/,
  ],
  [
    'a prediction without terms',
    withRow({ program: undefined, predict: [] }),
    /rows\[1\]\.predict must be a list of terms, got an empty one/,
  ],
  [
    'no row that calls the U-Net',
    denoise({ table: { programs: [{ kind: 'full' }], rows: [{ ...row(0), program: undefined }] } }),
    /has no row that calls the U-Net/,
  ],
  [
    'a blend with a draw that is not named',
    denoise({
      table: {
        programs: [{ kind: 'full' }],
        rows: [{ ...row(0), blend: { init: 1, noise: 1, redrawn: true } }],
      },
      ...{ mask: noise(64), init: noise(256) },
    }),
    /row 0: blends with noise, but names no draw/,
  ],
  [
    'a prediction from noise',
    withRow({ program: undefined, predict: [{ slot: 'noise', coefficient: 1 }], noise: 0 }),
    /row 1: predicts from noise/,
  ],
  [
    'skipping what is not full',
    denoise({
      table: {
        programs: [{ kind: 'full' }, { kind: 'retrieve', branch: 0 }],
        rows: [row(0), row(1, { program: 1, skip: { threshold: 1, maxSkips: 1, program: 1 } })],
      },
    }),
    /row 1: skips a full program, for a retrieve step or a prediction/,
  ],
  [
    'skipping to a full program',
    withRow({ skip: { threshold: 1, maxSkips: 1, program: 0 } }),
    /row 1: skips a full program, for a retrieve step or a prediction/,
  ],
  [
    'skipping to nothing',
    withRow({ skip: { threshold: 1, maxSkips: 1 } }),
    /row 1: needs either a program or a prediction with terms/,
  ],
  [
    'a negative threshold',
    withRow({ skip: { threshold: -1, maxSkips: 1 }, predict: row(0).assign[0]?.terms }),
    /row 1: skip\.threshold must be at least 0/,
  ],
  [
    'no skips',
    withRow({ skip: { threshold: 1, maxSkips: 0 }, predict: row(0).assign[0]?.terms }),
    /rows\[1\]\.skip\.maxSkips must be an integer from 1/,
  ],
  ['no terms', withRow({ assign: [{ to: 'x', terms: [] }] }), /assignment without terms/],
  [
    'seven assignments',
    withRow({ assign: Array(7).fill(row(0).assign[0]) }),
    /assign must be an array of at most 6/,
  ],
  [
    'noise that is not named',
    withRow({ assign: [{ to: 'x', terms: [{ slot: 'noise', coefficient: 1 }] }] }),
    /names no draw/,
  ],
  ['a draw that is not there', withRow({ noise: 0 }), /no noise draw/],
  [
    'half a draw',
    denoise({ noise: noise(128) }),
    /noise must be a Float32Array of one or more times 1\*4\*1\*64 = 256 values, got 128/,
  ],
  ['a blend without a mask', withRow({ blend: { init: 1, noise: 0 } }), /mask must be given/],
  ['channels that the model does not take', denoise({ constant: noise(64) }), /constant must be left out/],
  ['previewEvery 0', denoise({ previewEvery: 0 }), /previewEvery must be an integer/],
  [
    'onStep that is no function',
    () => (unet as Any).denoise(denoiseRequest(1), 5),
    'onStep must be a function, got 5',
  ],
  ['latents of another size', denoise({ latents: noise(255) }), /latents must be.*= 256 values, got 255/],
]);

test('a retrieve step of halves that were not computed', async () => {
  const guidance = { scale: 2, rescale: 0 };
  const programs = [
    { kind: 'full' },
    { kind: 'full', halves: 'conditional' },
    { kind: 'retrieve', branch: 0 },
  ];
  const rows = [row(0, { guidance }), row(1, { program: 1 }), row(2, { program: 2, guidance })];
  const context = noise(2 * 77 * 32);
  const error = await errorOf(denoise({ outputs: 2, context, table: { programs, rows } }));
  expect(error.message).toMatch(
    /row 2: a retrieve step of all outputs after a full one of the conditional half/,
  );
  expect(error.code).toBe('ERR_DEEPCACHE_INVALID_ARGUMENT');
});

test('skipping to a retrieve step of halves that the last full call may not have computed', async () => {
  const guidance = { scale: 2, rescale: 0 };
  const programs = [
    { kind: 'full' },
    { kind: 'full', halves: 'conditional' },
    { kind: 'retrieve', branch: 0 },
  ];
  const skip = { threshold: 1, maxSkips: 1, program: 2 };
  const rows = [row(0, { program: 1 }), row(1, { guidance, skip })];
  const context = noise(2 * 77 * 32);
  const error = await errorOf(denoise({ outputs: 2, context, table: { programs, rows } }));
  expect(error.message).toMatch(
    /row 1: a retrieve step of all outputs after a full one of the conditional half/,
  );
});
