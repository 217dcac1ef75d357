import { invalidArgument } from '../errors.js';
import type { Image } from '../images/image.js';
import { loadPrototypes, type Prototypes, SIDE, type Sprite } from './prototypes.js';
import {
  COLORS,
  GROUND_KINDS,
  MOON_COLORS,
  POSITIONS,
  type Scene,
  type SceneObject,
  SEA_KINDS,
  SKY_KINDS,
  SUN_COLORS,
} from './scene.js';

/** A difference of a channel counts up to here: whatever is no part of the scene weighs no more. */
const CAP = 70 ** 2;
/** What a thing must explain, as squared differences, to be there: some 12 pixels entirely. */
const PRESENCE = 12 * 3 * CAP;
const SWEEPS = 3;
/** Every so many rows are looked at in the first round, in which so many choices are left. */
const ROUGH_STEP = 4;
const LIKELY = 6;

/** Pixels that things on the left and right are away from the middle. */
const OBJECT_SHIFT: Readonly<Record<string, number>> = { left: -16, center: 0, right: 16 };
const LIGHT_SHIFT: Readonly<Record<string, number>> = { left: -20, center: 0, right: 20 };

/** One thing that may be there or not, and what it may be: names of sprites without their sky. */
interface Place {
  position: string;
  shift: number;
  choices: readonly { kind: string; color: string }[];
}

interface Layer {
  sprite: Sprite;
  shift: number;
}

interface Rectangle {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

const pairs = (kinds: readonly string[], colors: readonly string[]) =>
  kinds.flatMap((kind) => colors.map((color) => ({ kind, color })));
const places = (shifts: Readonly<Record<string, number>>, choices: Place['choices']) =>
  POSITIONS.map((position): Place => ({ position, shift: shifts[position] as number, choices }));

/** From back to front, as the painter draws them. */
const PLACES: readonly Place[] = [
  ...places(LIGHT_SHIFT, [...pairs(['sun'], SUN_COLORS), ...pairs(['moon'], MOON_COLORS)]),
  { position: '', shift: 0, choices: [{ kind: 'clouds', color: '' }] },
  ...places(OBJECT_SHIFT, pairs(SKY_KINDS, COLORS)),
  ...places(OBJECT_SHIFT, pairs([...SEA_KINDS, ...GROUND_KINDS], COLORS)),
];

/**
 * Tells what is in pictures of the demo model's world, by drawing scenes and comparing; no network is involved.
 *
 * ```ts
 * const judge = await Judge.load();
 * const shown = judge.read(image); // { objects: [{ kind: 'barn', color: 'red', position: 'center' }], sky: 'day', ... }
 * const verdicts = judgeScene(readCaption('a red barn under a blue sky'), shown);
 * ```
 */
export class Judge {
  private constructor(private readonly prototypes: Prototypes) {}

  /** Reads the drawings that pictures are compared with. */
  static async load(): Promise<Judge> {
    return new Judge(await loadPrototypes());
  }

  /**
   * The scene whose drawing comes nearest to a picture: backgrounds, then things one place after the other, in a few
   * sweeps. Everything in it is named, with colour and position.
   *
   * @param image a square, its side a multiple of 64.
   * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for another size.
   */
  read(image: Image): Scene {
    const picture = reduce(image);
    const chosen: (number | undefined)[] = PLACES.map(() => undefined);
    let base = this.#nearestBase(picture, chosen, 'day');
    for (let sweep = 0; sweep < SWEEPS; sweep++) {
      const before = `${base} ${chosen.join()}`;
      for (const place of PLACES.keys()) chosen[place] = this.#nearestChoice(picture, base, chosen, place);
      base = this.#nearestBase(picture, chosen, skyOf(base));
      if (`${base} ${chosen.join()}` === before) break;
    }
    return toScene(base, chosen);
  }

  #nearestBase(picture: Float32Array, chosen: readonly (number | undefined)[], sky: string): string {
    let nearest = { name: '', error: Infinity };
    const whole = { left: 0, top: 0, right: SIDE, bottom: SIDE };
    const canvas = new Float32Array(SIDE * SIDE * 3);
    for (const name of this.prototypes.bases.keys()) {
      const layers = this.#layers(chosen, skyOf(name)) ?? this.#layers(chosen, sky) ?? [];
      this.#draw(canvas, name, layers, whole);
      const error = difference(picture, canvas, whole);
      if (error < nearest.error) nearest = { name, error };
    }
    return nearest.name;
  }

  #nearestChoice(
    picture: Float32Array,
    base: string,
    chosen: readonly (number | undefined)[],
    place: number,
  ): number | undefined {
    const { choices, shift } = PLACES[place] as Place;
    const sky = skyOf(base);
    const canvas = new Float32Array(SIDE * SIDE * 3);
    const errorOf = (choice: number | undefined, area: Rectangle, step: number) => {
      const layers = this.#layers(
        chosen.map((old, i) => (i === place ? choice : old)),
        sky,
      );
      this.#draw(canvas, base, layers ?? [], area, step);
      return difference(picture, canvas, area, step);
    };
    /** By how much a thing being there lowers the error. */
    const gainOf = (choice: number, step: number) => {
      const { kind, color } = choices[choice] as { kind: string; color: string };
      const sprite = this.#sprite(kind, sky, color);
      if (!sprite) return -Infinity;
      const area = areaOf(sprite, shift);
      return errorOf(undefined, area, step) - errorOf(choice, area, step);
    };
    // Some rows show which ones are worth a closer look.
    const rough = [...choices.keys()].map((choice) => ({ choice, gain: gainOf(choice, ROUGH_STEP) }));
    const likely = rough.sort((a, b) => b.gain - a.gain).slice(0, LIKELY);
    let best: { choice: number | undefined; gain: number } = { choice: undefined, gain: PRESENCE };
    for (const { choice } of likely) {
      const gain = gainOf(choice, 1);
      if (gain > best.gain) best = { choice, gain };
    }
    return best.choice;
  }

  #sprite(kind: string, sky: string, color: string): Sprite | undefined {
    return this.prototypes.sprites.get(color ? `${kind}/${sky}/${color}` : `${kind}/${sky}`);
  }

  /** The chosen things under a sky; undefined where one of them is never under it. */
  #layers(chosen: readonly (number | undefined)[], sky: string): Layer[] | undefined {
    const layers: Layer[] = [];
    for (const [i, choice] of chosen.entries()) {
      if (choice === undefined) continue;
      const { choices, shift } = PLACES[i] as Place;
      const { kind, color } = choices[choice] as { kind: string; color: string };
      const sprite = this.#sprite(kind, sky, color);
      if (!sprite) return undefined;
      layers.push({ sprite, shift });
    }
    return layers;
  }

  #draw(canvas: Float32Array, base: string, layers: readonly Layer[], area: Rectangle, step = 1): void {
    const ground = this.prototypes.bases.get(base) as Float32Array;
    for (let y = area.top; y < area.bottom; y += step) {
      const [start, end] = [(y * SIDE + area.left) * 3, (y * SIDE + area.right) * 3];
      canvas.set(ground.subarray(start, end), start);
    }
    for (const { sprite, shift } of layers) {
      const first = sprite.left + shift;
      const [left, right] = [Math.max(area.left, first), Math.min(area.right, first + sprite.width)];
      const [top, bottom] = [
        Math.max(area.top, sprite.top),
        Math.min(area.bottom, sprite.top + sprite.height),
      ];
      for (let y = area.top + Math.ceil((top - area.top) / step) * step; y < bottom; y += step) {
        let from = ((y - sprite.top) * sprite.width + left - first) * 3;
        let to = (y * SIDE + left) * 3;
        for (const end = (y * SIDE + right) * 3; to < end; to++, from++) {
          canvas[to] =
            (canvas[to] as number) * (sprite.below[from] as number) + (sprite.color[from] as number);
        }
      }
    }
  }
}

const skyOf = (base: string) => base.split('/')[0] as string;

/** Mean colours of squares of pixels: [SIDE, SIDE, 3]. */
function reduce({ width, height, data }: Image): Float32Array {
  if (width !== height || width % SIDE !== 0) {
    throw invalidArgument(
      'image',
      `is ${width}x${height}; the judge reads squares with a multiple of ${SIDE} pixels`,
    );
  }
  const scale = width / SIDE;
  const out = new Float32Array(SIDE * SIDE * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const to = (Math.floor(y / scale) * SIDE + Math.floor(x / scale)) * 3;
      for (let c = 0; c < 3; c++) {
        out[to + c] = (out[to + c] as number) + (data[(y * width + x) * 3 + c] as number) / scale ** 2;
      }
    }
  }
  return out;
}

function difference(
  a: Float32Array,
  b: Float32Array,
  { left, top, right, bottom }: Rectangle,
  step = 1,
): number {
  let sum = 0;
  for (let y = top; y < bottom; y += step) {
    for (let i = (y * SIDE + left) * 3, end = (y * SIDE + right) * 3; i < end; i++) {
      const distance = (a[i] as number) - (b[i] as number);
      const square = distance * distance;
      // biome-ignore lint/complexity/useMathMinMax: looking up Math is slow in Jest's realms, 25 times in all.
      sum += square < CAP ? square : CAP;
    }
  }
  return sum;
}

function areaOf({ left, top, width, height }: Sprite, shift: number): Rectangle {
  return {
    left: Math.max(0, left + shift),
    top,
    right: Math.min(SIDE, left + shift + width),
    bottom: top + height,
  };
}

function toScene(base: string, chosen: readonly (number | undefined)[]): Scene {
  const [sky = '', ground = '', mountains] = base.split('/');
  const objects: SceneObject[] = [];
  const scene: Scene = {
    objects,
    sky,
    ground: ground === 'water' ? 'sea' : ground,
    mountains: mountains !== undefined,
    clouds: false,
  };
  for (const [i, choice] of chosen.entries()) {
    if (choice === undefined) continue;
    const { choices, position } = PLACES[i] as Place;
    const { kind, color } = choices[choice] as { kind: string; color: string };
    if (kind === 'clouds') scene.clouds = true;
    else if (kind === 'sun' || kind === 'moon') scene[kind] = { color, position };
    else objects.push({ kind, color, position });
  }
  return scene;
}
