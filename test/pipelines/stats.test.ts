import { expect, test } from '@jest/globals';
import type { GenerateStats } from '../../lib/index.js';
import { addStats } from '../../lib/pipelines/outputs/stats.js';

test('two runs that make a picture together', () => {
  const half: GenerateStats = {
    times: { encode: 1, prepare: 2, denoise: 3, decode: 4, total: 10 },
    callTimes: { full: 7, retrieve: 2, predict: 1 },
    calls: 7,
    fullCalls: 4,
    retrieveCalls: 2,
    predictedCalls: 1,
    computed: [
      { kind: 'full', outputs: 2, calls: 4 },
      { kind: 'retrieve', branch: 0, outputs: 2, calls: 2 },
    ],
    speedup: 1.2,
    plansMade: 3,
    memory: { weights: 100, arenas: 20, buffers: 3 },
  };
  const rest: GenerateStats = {
    ...half,
    computed: [{ kind: 'full', outputs: 2, calls: 2 }],
    callTimes: { full: 10, retrieve: 0, predict: 0 },
    calls: 2,
    fullCalls: 2,
    retrieveCalls: 0,
    predictedCalls: 0,
    speedup: 1,
  };
  expect(addStats(half, rest)).toEqual({
    times: { encode: 2, prepare: 4, denoise: 6, decode: 8, total: 20 },
    callTimes: { full: 17, retrieve: 2, predict: 1 },
    calls: 9,
    fullCalls: 6,
    retrieveCalls: 2,
    predictedCalls: 1,
    computed: [
      { kind: 'full', outputs: 2, calls: 6 },
      { kind: 'retrieve', branch: 0, outputs: 2, calls: 2 },
    ],
    // 12 and 10 seconds in full against 20 in all.
    speedup: 1.1,
    plansMade: 6,
    memory: { weights: 200, arenas: 40, buffers: 6 },
  });
});
