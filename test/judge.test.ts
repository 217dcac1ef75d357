import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, test } from '@jest/globals';
import { Image } from '../lib/index.js';
import {
  ATTRIBUTE_GROUPS,
  accuracyOf,
  Judge,
  judgeScene,
  readCaption,
  type Scene,
  sampleCaptions,
  shareOf,
  unknownWords,
} from '../lib/judge/index.js';
import { type DrawnPicture, errorShare, judgeErrors, readDrawn } from '../weights-tools/judge-error.js';
import { createProgram } from '../weights-tools/program.js';
import { runCli } from './cli-run.js';

const FOLDER = 'test/fixtures/judge';

let drawn: DrawnPicture[];
let shown: Scene[];
beforeAll(async () => {
  const judge = await Judge.load();
  // Drawn by weights-tools/demo-model/judge_data.py.
  drawn = await readDrawn(FOLDER);
  shown = drawn.map(({ image }) => judge.read(image));
});

test('the judge errs in less than 2 % of what drawn pictures show, of every kind', async () => {
  const rows = await judgeErrors(drawn);
  expect(rows.map(({ attribute }) => attribute).sort()).toEqual(
    Object.values(ATTRIBUTE_GROUPS).flat().sort(),
  );
  expect(errorShare(rows)).toBeLessThan(0.02);
  expect(rows.filter((row) => errorShare([row]) >= 0.02)).toEqual([]);
  const { pictures } = accuracyOf(drawn.map(({ scene }, i) => judgeScene(scene, shown[i] as Scene)));
  expect(shareOf(pictures)).toBeGreaterThan(0.98);
});

test('the command tells what was missed and what was invented', async () => {
  const { code, out } = await runCli(['judge', FOLDER], { create: createProgram });
  expect(code).toBe(0);
  expect(out).toMatch(/^kind +drawn +missed +invented +error\nobject +\d+ +\d+ +\d+ +\d\.\d\d %\n/);
  expect(out).toContain(`all, ${drawn.length} pictures`);
  expect((await runCli(['judge', 'test'], { create: createProgram })).err).toMatch(
    /folder has no pictures\.json/,
  );
});

test('a picture judged by the caption of another one is wrong', () => {
  const verdicts = shown.map((seen, i) => {
    const { scene } = drawn[(i + 1) % drawn.length] as { scene: Scene };
    return judgeScene(scene, seen);
  });
  const { all: right, pictures: whole } = accuracyOf(verdicts);
  expect(shareOf(right)).toBeLessThan(0.5);
  expect(shareOf(whole)).toBeLessThan(0.02);
});

test('captions of the grammar are read as the scenes that they tell', () => {
  for (const { caption, scene } of drawn) {
    // Read what is said, and only what is so.
    const asked = readCaption(caption);
    const wrong = judgeScene(asked, scene).filter(({ isRight }) => !isRight);
    expect({ caption, wrong }).toEqual({ caption, wrong: [] });
    expect(asked.objects.map(({ kind }) => kind).sort()).toEqual(
      scene.objects.map(({ kind }) => kind).sort(),
    );
  }
});

test('captions say all that they ask for, are different, and follow from the seed', () => {
  const captions = sampleCaptions(200, 1);
  expect(new Set(captions).size).toBe(200);
  expect(sampleCaptions(200, 1)).toEqual(captions);
  expect(sampleCaptions(200, 2)).not.toEqual(captions);
  for (const caption of captions) {
    const { objects, sky, ground } = readCaption(caption);
    expect(objects.every(({ kind, color, position }) => kind && color && position)).toBe(true);
    expect(sky && ground).toBeTruthy();
  }
  expect(() => sampleCaptions(0, 1)).toThrow(/count/);
});

test('words outside of the grammar are told, and commands without a model remark on them', async () => {
  expect(unknownWords('a red Dragon and a red barn with a dragon, ünder a blue sky')).toEqual([
    'dragon',
    'ünder',
  ]);
  expect(sampleCaptions(200, 3).flatMap(unknownWords)).toEqual([]);
  const folder = mkdtempSync(join(tmpdir(), 'deepcache-words-'));
  const run = (prompt: string) =>
    runCli(['generate', '-p', prompt, '--steps', '1', '--force', '-o', join(folder, 'out.png')]);
  const { code, err } = await run('a red dragon');
  expect({ code, err }).toEqual({
    code: 0,
    err: expect.stringMatching(/ignores what it does not know: dragon /),
  });
  expect(await run('')).toMatchObject({ code: 0, err: '' });
  expect((await run('a red barn '.repeat(100))).err).toMatch(/prompt is too long, this was cut off/);
  rmSync(folder, { recursive: true });
});

test('sizes that are no multiple of 64 are refused', async () => {
  const judge = await Judge.load();
  const image = new Image({ width: 96, height: 96, data: new Uint8Array(96 * 96 * 3) });
  expect(() => judge.read(image)).toThrow(/96x96/);
});
