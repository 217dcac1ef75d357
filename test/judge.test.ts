import { readFileSync } from 'node:fs';
import { beforeAll, expect, test } from '@jest/globals';
import { Image } from '../lib/index.js';
import {
  accuracyOf,
  Judge,
  judgeScene,
  readCaption,
  type Scene,
  sampleCaptions,
  shareOf,
} from '../lib/judge/index.js';

const FOLDER = 'test/fixtures/judge';
const SIDE = 64;
// Drawn by weights-tools/demo-model/judge_data.py.
const drawn = JSON.parse(readFileSync(`${FOLDER}/pictures.json`, 'utf8')) as {
  caption: string;
  scene: Required<Scene>;
}[];

async function pictures(): Promise<Image[]> {
  const sheet = await Image.open(`${FOLDER}/pictures.png`);
  const columns = sheet.width / SIDE;
  return drawn.map((_, i) => {
    const data = new Uint8Array(SIDE * SIDE * 3);
    for (let y = 0; y < SIDE; y++) {
      const start = ((Math.floor(i / columns) * SIDE + y) * sheet.width + (i % columns) * SIDE) * 3;
      data.set(sheet.data.subarray(start, start + SIDE * 3), y * SIDE * 3);
    }
    return new Image({ width: SIDE, height: SIDE, data });
  });
}

let shown: Scene[];
beforeAll(async () => {
  const judge = await Judge.load();
  shown = (await pictures()).map((picture) => judge.read(picture));
}, 300_000);

test('the judge errs in less than 2 % of what drawn pictures show', () => {
  const accuracy = accuracyOf(drawn.map(({ scene }, i) => judgeScene(scene, shown[i] as Scene)));
  if (process.env.VERBOSE) console.log(accuracy);
  expect(shareOf(accuracy.all)).toBeGreaterThan(0.98);
  expect(shareOf(accuracy.pictures)).toBeGreaterThan(0.98);
  // Nothing is seen that is not there.
  const count = (scene: Scene) => scene.objects.length + (scene.sun ? 1 : 0) + (scene.moon ? 1 : 0);
  const extra = drawn.filter(({ scene }, i) => count(shown[i] as Scene) > count(scene));
  expect(extra.length / drawn.length).toBeLessThan(0.02);
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

test('sizes that are no multiple of 64 are refused', async () => {
  const judge = await Judge.load();
  const image = new Image({ width: 96, height: 96, data: new Uint8Array(96 * 96 * 3) });
  expect(() => judge.read(image)).toThrow(/96x96/);
});
