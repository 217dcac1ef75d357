import { describe, expect, test } from '@jest/globals';
import { attachPrograms } from '../lib/deepcache/index.js';
import {
  type PerSample,
  runTable,
  runTableAsync,
  Scheduler,
  type StepRow,
  type StepTable,
} from '../lib/schedulers/index.js';

const FULL = [{ kind: 'full' }] as const;

function table(row: Partial<StepRow>, programs: StepTable['programs'] = FULL): StepTable {
  return {
    programs,
    rows: [{ program: 0, timestep: 1, inputScale: 1, x0: { x: 0, m: 1 }, assign: [], ...row }],
  };
}

const copy = (slot: 'm' | 'x0' | 'noise') => [{ to: 'x', terms: [{ slot, coefficient: 1 }] }] as const;

describe('runTable', () => {
  test('assignments run in order and read what the earlier ones left', () => {
    const assign = [
      { to: 's0', terms: [{ slot: 'x', coefficient: 2 }] },
      {
        to: 'x',
        terms: [
          { slot: 'x', coefficient: 1 },
          { slot: 's0', coefficient: 10 },
          { slot: 's1', coefficient: 5 },
        ],
      },
      {
        to: 's1',
        terms: [
          { slot: 'x', coefficient: 1 },
          { slot: 'x0', coefficient: 1 },
        ],
      },
      { to: 'x', terms: [{ slot: 's1', coefficient: -1 }] },
    ] as const;
    const x = runTable(table({ assign, x0: { x: 1, m: 1 } }), { x: Float64Array.of(3), model: () => [4] });
    // s0 = 6, x = 3 + 60 + 0, s1 = 63 + 7, x = -70
    expect([...x]).toEqual([-70]);
  });

  test('a program that degrades computes the last output behind the others, on what these promise', () => {
    const row = {
      inputScale: 0.5,
      signal: 2,
      x0: { x: 3, m: -1 },
      guidance: { scale: 4, third: -2, rescale: 0 },
      assign: copy('m'),
    };
    for (const [outputs, guidance, others, expected] of [
      // u + 4 (c - u) - 2 (d - u)
      [3, row.guidance, [10, 11], 10 + 4 * (11 - 10) - 2 * (7 - 10)],
      // u - 2 (d - u)
      [2, { scale: -2, rescale: 0 }, [10], 10 - 2 * (7 - 10)],
    ] as const) {
      const calls: unknown[] = [];
      const x = runTable(table({ ...row, guidance }, [{ kind: 'full', degrades: true }]), {
        x: Float64Array.of(4),
        outputs,
        // Of the clean 3 * 4 - 10 a half is seen.
        degrade: (clean, index) => {
          expect([...clean, index]).toEqual([2, 0]);
          return [1];
        },
        model: ({ input, halves, degraded = false }) => {
          calls.push([...input, halves, degraded]);
          return degraded ? [7] : others;
        },
      });
      const first = outputs === 3 ? 'both' : 'unconditional';
      expect(calls).toEqual([
        [2, first, false],
        [0.5 * (4 + 2 * (1 - 2)), 'unconditional', true],
      ]);
      expect([...x]).toEqual([expected]);
    }
    const alone = table({ ...row, guidance: { scale: 1, rescale: 0 } }, [{ kind: 'full', degrades: true }]);
    const run = () => runTable(alone, { x: Float64Array.of(4), outputs: 2, model: () => [1] });
    expect(run).toThrow('what is left of clean latents must have 1 values, got none');
  });

  test('leaves the input alone and scales what the model sees', () => {
    const start = Float32Array.of(2, 4);
    const seen: number[] = [];
    runTable(table({ inputScale: 0.5, assign: copy('m') }), {
      x: start,
      model: ({ input, timestep, halves }) => {
        expect(halves).toBe('conditional');
        seen.push(...input, ...timestep);
        return [9, 9];
      },
    });
    expect(seen).toEqual([1, 2, 1]);
    expect([...start]).toEqual([2, 4]);
  });

  test('values per sample', () => {
    const row = {
      timestep: [7, 8],
      inputScale: [1, 2],
      x0: { x: [1, 0], m: 1 },
      assign: copy('x0'),
      noise: [1, 0],
    };
    const timesteps: number[] = [];
    const x = runTable(table(row), {
      x: Float64Array.of(1, 2, 3, 4),
      batch: 2,
      noise: [
        [0, 0, 0, 0],
        [0, 0, 0, 0],
      ],
      model: ({ input, timestep }) => {
        timesteps.push(...timestep);
        return input;
      },
    });
    expect(timesteps).toEqual([7, 8]);
    expect([...x]).toEqual([2, 4, 6, 8]);
    const drawn = runTable(table({ ...row, assign: copy('noise') }), {
      x: Float64Array.of(1, 2, 3, 4),
      batch: 2,
      noise: [
        [1, 2, 3, 4],
        [5, 6, 7, 8],
      ],
      model: ({ input }) => input,
    });
    expect([...drawn]).toEqual([5, 6, 3, 4]);
  });

  test('guidance combines the halves, negative first, and rescales to the deviation of the positive one', () => {
    const output = [1, 2, 3, 5, 1, 4];
    const guide = (rescale: number) =>
      runTable(table({ guidance: { scale: 3, rescale }, assign: copy('m') }), {
        x: new Float64Array(3),
        model: ({ halves }) => (halves === 'both' ? output : []),
      });
    // u + 3 (c - u)
    expect([...guide(0)]).toEqual([13, -1, 6]);
    // std(c) = sqrt(13 / 3), std(m) = sqrt(49)
    const ratio = Math.sqrt(13 / 3) / 7;
    [13, -1, 6].forEach(
      (value, i) => void expect(guide(0.7)[i]).toBeCloseTo(value * (0.7 * ratio + 0.3), 12),
    );
    for (const half of ['conditional', 'unconditional'] as const) {
      const only = runTable(table({ assign: copy('m') }, [{ kind: 'full', halves: half }]), {
        x: new Float64Array(3),
        model: ({ halves }) => (halves === half ? [1, 2, 3] : []),
      });
      expect([...only]).toEqual([1, 2, 3]);
    }
  });

  test('a predicted row calls no model: m is a sum of what the rows before left', () => {
    const common = { timestep: 1, inputScale: 1, x0: { x: 1, m: 1 } };
    const to = (slot: 'x' | 's0', coefficient: number) =>
      ({ to: slot, terms: [{ slot: 'm', coefficient }] }) as const;
    const predict = [
      { slot: 'x', coefficient: 1 },
      { slot: 'm', coefficient: 10 },
      { slot: 'x0', coefficient: 100 },
      { slot: 's0', coefficient: 1000 },
    ] as const;
    const rows = [
      { ...common, program: 0, assign: [to('s0', 2)] },
      { ...common, predict, assign: [to('x', 1)] },
    ];
    let calls = 0;
    const model = () => [3 + calls++];
    // m = 3, x0 = 1 + 3, s0 = 6; then x = 1 + 30 + 400 + 6000.
    const x = runTable({ programs: FULL, rows }, { x: Float64Array.of(1), model });
    expect([...x]).toEqual([6431]);
    expect(calls).toBe(1);
  });

  test('without a rescale nothing is divided, as outputs without deviation would need', () => {
    const x = runTable(table({ guidance: { scale: 3, rescale: 0 }, assign: copy('m') }), {
      x: new Float64Array(2),
      model: () => [1, 1, 2, 2],
    });
    expect([...x]).toEqual([4, 4]);
  });

  describe('rows that may skip their program', () => {
    const programs = [{ kind: 'full' }, { kind: 'retrieve', branch: 0 }] as const;
    const common = { timestep: 1, x0: { x: 0, m: 1 }, assign: [] };
    /** The programs that ran and the changes, for rows whose input scales are given. */
    function run(rows: readonly (Partial<StepRow> & { inputScale: PerSample })[], x = [1], batch = 1) {
      const ran: unknown[] = [];
      const changes: unknown[] = [];
      runTable(
        { programs, rows: rows.map((row) => ({ ...common, program: 0, ...row })) },
        {
          x: Float64Array.from(x),
          batch,
          model: ({ input }) => input,
          onRow: ({ program, change }) => {
            ran.push(program);
            changes.push(change);
          },
        },
      );
      return { ran, changes };
    }
    const skip = { threshold: 0.5, maxSkips: 2, program: 1 };
    const no = undefined;

    test('below the threshold and up to the limit, from the second full call on', () => {
      const rows = [4, 5, 5, 5, 5, 8].map((inputScale) => ({ inputScale, skip }));
      // The fourth row may not; the fifth compares with it, the last one is not below 0.5 of 5.
      const { ran, changes } = run(rows);
      expect(ran).toEqual([0, 1, 1, 0, 1, 0]);
      expect(changes).toEqual([no, 0.25, 0.25, no, 0, 0.6]);
    });

    test('a change that equals the threshold does not skip', () => {
      expect(run([4, 6].map((inputScale) => ({ inputScale, skip })))).toEqual({
        ran: [0, 0],
        changes: [no, 0.5],
      });
    });

    test('only full calls keep their input; rows with no choice end a series', () => {
      const rows = [
        { inputScale: 4 },
        { inputScale: 5, skip },
        { inputScale: 40, program: 1 },
        { inputScale: 5, skip },
        { inputScale: 5, skip },
        { inputScale: 5, skip },
      ];
      expect(run(rows).ran).toEqual([0, 1, 1, 1, 1, 0]);
      const { program: _, ...predicted } = { ...common, program: 0, inputScale: 5, predict: [] };
      const again = [...rows.slice(0, 2), rows[1], { ...predicted, program: undefined }, rows[1], rows[1]];
      expect(run(again as typeof rows).ran).toEqual([0, 1, 1, no, 1, 1]);
    });

    test('the sample that changed most decides', () => {
      for (const inputScale of [
        [4, 8],
        [8, 4],
      ]) {
        const rows = [{ inputScale: 4 }, { inputScale, skip }];
        expect(run(rows, [1, -3], 2)).toEqual({ ran: [0, 0], changes: [no, 1] });
      }
    });

    test('without a program it predicts', () => {
      const { program: _, ...rule } = skip;
      const predict = [{ slot: 'm', coefficient: 2 }] as const;
      expect(run([{ inputScale: 4 }, { inputScale: 4, skip: rule, predict }]).ran).toEqual([0, no]);
    });
  });

  test('x0 is clamped, or thresholded per sample', () => {
    const run = (x0: StepRow['x0'], values: number[], batch = 1) => [
      ...runTable(table({ x0, assign: copy('x0') }), {
        x: new Float64Array(values.length),
        batch,
        model: () => values,
      }),
    ];
    expect(run({ x: 0, m: 1, clamp: 2 }, [-3, 1, 5])).toEqual([-2, 1, 2]);
    // The median of (4, 3, 1) and of (0.1, 0.2, 0.3); the latter is raised to 1.
    const threshold = { ratio: 0.5, max: 10 };
    expect(run({ x: 0, m: 1, threshold }, [-4, 3, 1, 0.1, -0.2, 0.3], 2)).toEqual([
      -1,
      1,
      1 / 3,
      0.1,
      -0.2,
      0.3,
    ]);
    expect(run({ x: 0, m: 1, threshold: { ratio: 1, max: 2 } }, [-4, 3, 1])).toEqual([-1, 1, 0.5]);
    // Between the ranks the quantile is interpolated: 0.75 * 3 = 2.25.
    const [first] = run({ x: 0, m: 1, threshold: { ratio: 0.75, max: 99 } }, [1, 8, 2, 4]);
    expect(first).toBeCloseTo(1 / 5, 12);
  });

  test('the blend keeps x where the mask is 1', () => {
    const x = runTable(table({ assign: copy('m'), blend: { init: 2, noise: 10 } }), {
      x: new Float64Array(3),
      model: () => [7, 7, 7],
      mask: [1, 0, 0.5],
      initLatents: [1, 1, 1],
      noise0: [3, 3, 3],
    });
    expect([...x]).toEqual([7, 32, 3.5 + 16]);
  });

  test('runTableAsync does the same with promises', async () => {
    const x = await runTableAsync(table({ assign: copy('m') }), {
      x: Float64Array.of(1),
      model: async ({ input }) => [(input[0] as number) * 5],
    });
    expect([...x]).toEqual([5]);
  });

  test.each([
    ['model output', () => runTable(table({}), { x: new Float64Array(2), model: () => [1] })],
    ['noise', () => runTable(table({ noise: 0 }), { x: new Float64Array(2), model: () => [1, 1] })],
    [
      'mask',
      () => runTable(table({ blend: { init: 1, noise: 1 } }), { x: new Float64Array(1), model: () => [1] }),
    ],
    ['batch', () => runTable(table({}), { x: new Float64Array(3), batch: 2, model: () => [1, 1, 1] })],
    ['program', () => runTable(table({ program: 4 }), { x: new Float64Array(1), model: () => [1] })],
  ])('refuses a wrong %s', (named, run) => {
    expect(run).toThrow(
      expect.objectContaining({
        code: 'ERR_DEEPCACHE_INVALID_ARGUMENT',
        message: expect.stringContaining(named),
      }),
    );
  });
});

describe('attachPrograms', () => {
  const row = { timestep: 1, inputScale: 1, x0: { x: 0, m: 1 }, assign: [] };

  const guidance = { scale: 7.5, rescale: 0 };
  const full = { kind: 'full' } as const;
  const retrieve = { kind: 'retrieve', branch: 3 } as const;

  test('programs degrade where the guidance says so and all outputs are computed', () => {
    const own = { ...guidance, third: -1 };
    const degrades = { ...own, degrades: true } as const;
    const one = { ...retrieve, halves: 'conditional' } as const;
    const two = { ...retrieve, halves: 'both' } as const;
    const adaptive = { kind: 'adaptive', threshold: 1, maxSkips: 1, instead: retrieve } as const;
    const made = attachPrograms(
      new Array(5).fill(row),
      [full, retrieve, adaptive, one, two],
      new Array(5).fill(degrades),
    );
    expect(made.programs).toEqual([{ ...full, degrades: true }, { ...retrieve, degrades: true }, one, two]);
    expect(made.rows.map((r) => r.program)).toEqual([0, 1, 0, 2, 3]);
    expect(made.rows[2]?.skip?.program).toBe(1);
    // An output that is not computed counts as the one that it is compared with.
    expect(made.rows.map((r) => r.guidance)).toEqual([own, own, own, undefined, guidance]);
  });

  test('lists programs where they are used, once', () => {
    expect(attachPrograms([row, row], [full, full]).programs).toEqual([full]);
    const half = { ...retrieve, halves: 'conditional' } as const;
    const calls = [full, retrieve, full, half, retrieve];
    const made = attachPrograms(new Array(5).fill(row), calls, guidance);
    expect(made.programs).toEqual([full, retrieve, half]);
    expect(made.rows.map((r) => r.program)).toEqual([0, 1, 0, 2, 1]);
    // Of one half there is nothing to guide.
    expect(made.rows.map((r) => r.guidance)).toEqual([guidance, guidance, guidance, undefined, guidance]);
  });

  test('predicted and adaptive calls', () => {
    const terms = [{ slot: 'm', coefficient: 1 }] as const;
    const predict = { kind: 'predict', terms } as const;
    const rule = { kind: 'adaptive', threshold: 0.25, maxSkips: 2 } as const;
    const calls = [full, predict, { ...rule, instead: retrieve }, { ...rule, instead: predict }];
    const made = attachPrograms(new Array(4).fill(row), calls, guidance);
    expect(made.programs).toEqual([full, retrieve]);
    const skip = { threshold: 0.25, maxSkips: 2 };
    expect(made.rows.slice(1)).toEqual([
      { ...row, predict: terms },
      { ...row, program: 0, guidance, skip: { ...skip, program: 1 } },
      { ...row, program: 0, guidance, predict: terms, skip },
    ]);
  });

  test('refuses a run that starts from a cache, and lists of another length', () => {
    const refused = (message: string) =>
      expect.objectContaining({
        code: 'ERR_DEEPCACHE_INVALID_ARGUMENT',
        message: expect.stringContaining(message),
      });
    expect(() => attachPrograms([row], [retrieve])).toThrow(refused('must begin in full'));
    expect(() => attachPrograms([row], [full, full])).toThrow(refused('must be 1'));
  });
});

test.each([
  ['DDIMScheduler', {}, 4, [1, 2, 3, 4]],
  ['HeunDiscreteScheduler', {}, 3, [1, 1, 2, 2, 3]],
  ['PNDMScheduler', { skip_prk_steps: true }, 4, [1, 1, 2, 3, 4]],
  ['PNDMScheduler', {}, 5, [1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 5]],
])('%s %o tells which of %i steps a call belongs to', (_class_name, fields, steps, expected) => {
  expect(Scheduler.fromConfig({ _class_name, ...fields }).compile({ steps }).steps).toEqual(expected);
});
