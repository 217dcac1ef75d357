import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { invalidArgument, messageOf } from '../lib/errors.js';
import { Image } from '../lib/images/image.js';
import { type Attribute, Judge, judgeScene, type Scene } from '../lib/judge/index.js';

/** A drawn picture and what was drawn. */
export interface DrawnPicture {
  caption: string;
  scene: Required<Scene>;
  image: Image;
}

/** Pixels of a picture's side, see demo-model/judge_data.py. */
const SIDE = 64;

/** Reads what `demo-model/judge_data.py pictures FOLDER` has drawn: a sheet, and a list of scenes. */
export async function readDrawn(folder: string): Promise<DrawnPicture[]> {
  const read = async () =>
    JSON.parse(await readFile(join(folder, 'pictures.json'), 'utf8')) as Omit<DrawnPicture, 'image'>[];
  const list = await read().catch((error) => {
    throw invalidArgument('folder', `has no pictures.json of judge_data.py: ${messageOf(error)}`);
  });
  const sheet = await Image.open(join(folder, 'pictures.png'));
  const columns = sheet.width / SIDE;
  return list.map((one, i) => {
    const data = new Uint8Array(SIDE * SIDE * 3);
    for (let y = 0; y < SIDE; y++) {
      const start = ((Math.floor(i / columns) * SIDE + y) * sheet.width + (i % columns) * SIDE) * 3;
      data.set(sheet.data.subarray(start, start + SIDE * 3), y * SIDE * 3);
    }
    return { ...one, image: new Image({ width: SIDE, height: SIDE, data }) };
  });
}

/** What the judge gets wrong of one kind of fact. */
export interface JudgeErrorRow {
  attribute: Attribute;
  /** Things that were drawn, and those of which the judge does not see what they are. */
  drawn: number;
  missed: number;
  /** Things that the judge sees in pictures without them: objects, lights, mountains and clouds. */
  invented: number;
}

/** Counts the judge's errors on drawn pictures, for each kind of fact. */
export async function judgeErrors(pictures: readonly DrawnPicture[]): Promise<JudgeErrorRow[]> {
  const judge = await Judge.load();
  const rows = new Map<Attribute, JudgeErrorRow>();
  const rowOf = (attribute: Attribute) => {
    const row = rows.get(attribute) ?? { attribute, drawn: 0, missed: 0, invented: 0 };
    rows.set(attribute, row);
    return row;
  };
  for (const { scene, image } of pictures) {
    const shown = judge.read(image);
    for (const { attribute, isRight } of judgeScene(scene, shown)) {
      const row = rowOf(attribute);
      row.drawn++;
      if (!isRight) row.missed++;
    }
    rowOf('object').invented += Math.max(0, shown.objects.length - scene.objects.length);
    for (const name of ['sun', 'moon', 'mountains', 'clouds'] as const) {
      if (shown[name] && !scene[name]) rowOf(name).invented++;
    }
  }
  return [...rows.values()];
}

/** The share of wrong verdicts: what was missed or invented, of what was drawn. */
export const errorShare = (rows: readonly JudgeErrorRow[]): number =>
  rows.reduce((sum, { missed, invented }) => sum + missed + invented, 0) /
  rows.reduce((sum, { drawn }) => sum + drawn, 0);
