import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test } from '@jest/globals';

// The need is estimated and compared with what there is, before anything is allocated.

const CODE = 'ERR_DEEPCACHE_OUT_OF_MEMORY';

type Refusal = { code: string; message: string; steps: number; taken: number; worksOn: boolean };
const REFUSED = ['large', 'many', 'huge', 'guidance', 'decoding', 'longPrompt', 'encoding'] as const;
let report: {
  [Name in (typeof REFUSED)[number] | 'bad']: Refusal;
} & {
  loading: Refusal[];
  noGuidance: number;
  noDecoding: number;
  tiled: number;
  cutPrompt: number;
  tiledEncoding: number;
  growth: number;
  enough: boolean;
};

beforeAll(async () => {
  const arguments_ = ['--import', 'tsx', 'test/pipelines/out-of-memory.ts'];
  const { stdout } = await promisify(execFile)(process.execPath, arguments_);
  report = JSON.parse(stdout);
});

describe('a run that does not fit', () => {
  test.each(REFUSED)('%s: is refused before it runs', (name) => {
    expect(report[name]).toMatchObject({ code: CODE, steps: 0, worksOn: true });
    expect(report[name].message).toMatch(/needs \d.*[KMGT]iB.*available/);
    expect(report[name].taken).toBeLessThan(20e6);
  });

  test('the same without guidance, or without decoding, fits', () => {
    expect(report.noGuidance).toBe(3);
    expect(report.noDecoding).toBe(3);
  });

  test('the same in tiles, or with the prompt cut off, fits', () => {
    expect(report.tiled).toBe(3);
    expect(report.tiledEncoding).toBe(2);
    expect(report.cutPrompt).toBe(3);
  });

  test('a limit that is no number is named', () => {
    expect(report.bad.code).toBe('ERR_DEEPCACHE_INVALID_ARGUMENT');
    expect(report.bad.message).toContain('DEEPCACHE_MEMORY_LIMIT');
  });
});

describe('a model that does not fit', () => {
  test('is not loaded', () => {
    expect(report.loading).toHaveLength(5);
    for (const { code, message } of report.loading) {
      expect(code).toBe(CODE);
      expect(message).toMatch(/\.safetensors.* needs about .*available/);
    }
  });

  test('leaves nothing behind: 50 times more take no memory', () => {
    expect(report.growth).toBeLessThan(20e6);
  });

  test('is loaded when there is enough', () => {
    expect(report.enough).toBe(true);
  });
});
