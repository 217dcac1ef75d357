import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Image } from '../images/image.js';
import { packageRoot } from '../package-root.js';

/** Side of the pictures that the judge looks at. */
export const SIDE = 64;

/** A rectangle with its colours, and how much each pixel covers what is below. */
export interface Sprite {
  left: number;
  top: number;
  width: number;
  height: number;
  /** [height, width, 3]: what is below is multiplied by `below` and `color` is added. */
  color: Float32Array;
  below: Float32Array;
}

export interface Prototypes {
  /** Sky and ground: [SIDE, SIDE, 3], by "sky/ground" and "sky/ground/mountains". */
  bases: ReadonlyMap<string, Float32Array>;
  /** By "kind/sky/color", with their thing in the middle. */
  sprites: ReadonlyMap<string, Sprite>;
}

let loaded: Promise<Prototypes> | undefined;

/** What weights-tools/demo-model/judge_data.py has drawn. */
export function loadPrototypes(): Promise<Prototypes> {
  loaded ??= load();
  return loaded;
}

async function load(): Promise<Prototypes> {
  // Only TypeScript is compiled into dist: these files stay in lib.
  const path = (name: string) => join(packageRoot(), 'lib/judge', name);
  const places = JSON.parse(await readFile(path('prototypes.json'), 'utf8')) as {
    bases: Record<string, [number, number]>;
    sprites: Record<string, [number, number, number, number, number, number, number, number]>;
  };
  const atlas = await Image.open(path('prototypes.png'));
  const tile = (x: number, y: number, width: number, height: number) => {
    const out = new Float32Array(width * height * 3);
    for (let row = 0; row < height; row++) {
      const start = ((y + row) * atlas.width + x) * 3;
      out.set(atlas.data.subarray(start, start + width * 3), row * width * 3);
    }
    return out;
  };
  const bases = Object.entries(places.bases).map(
    ([name, [x, y]]) => [name, tile(x, y, SIDE, SIDE)] as [string, Float32Array],
  );
  const sprites = Object.entries(places.sprites).map(([name, place]): [string, Sprite] => {
    const [left, top, width, height, x, y, whiteX, whiteY] = place;
    const color = tile(x, y, width, height);
    // Drawn over black and over white: the difference is what shines through.
    const below = tile(whiteX, whiteY, width, height).map((value, i) => (value - (color[i] as number)) / 255);
    return [name, { left, top, width, height, color, below }];
  });
  return { bases: new Map(bases), sprites: new Map(sprites) };
}
