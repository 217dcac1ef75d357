import { invalidArgument } from '../errors.js';
import { show } from '../messages.js';
import {
  COLORS,
  GROUND_KINDS,
  GROUND_PHRASES,
  GROUNDS,
  MOON_COLORS,
  NAMES,
  POSITION_PHRASES,
  POSITIONS,
  SEA_KINDS,
  SKIES,
  SKY_KINDS,
  SKY_PHRASES,
  SUN_COLORS,
} from './scene.js';

type Random = () => number;

const MAX_CAPTIONS = 10_000;

/**
 * Captions for the demo model, all different, the same ones for the same seed. They say all that they ask for (objects
 * with their colours, sky, ground, lights) in the grammar's usual words, so that every part can be judged. Scenes are
 * drawn independently of the training's; the world is so small that about a quarter of them occur in it all the same.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for a count that is not from 1 to 10000.
 */
export function sampleCaptions(count: number, seed: number): string[] {
  if (!Number.isInteger(count) || count < 1 || count > MAX_CAPTIONS) {
    throw invalidArgument('count', `must be a whole number from 1 to ${MAX_CAPTIONS}, got ${show(count)}`);
  }
  const random = mulberry32(seed);
  const captions = new Set<string>();
  while (captions.size < count) captions.add(sampleCaption(random));
  return [...captions];
}

/** The proportions are those of weights-tools/demo-model/scene.py. */
function sampleCaption(random: Random): string {
  const family = weighted([GROUND_KINDS, SEA_KINDS, SKY_KINDS], [70, 18, 12], random);
  const kind = choice(family, random);
  const ground = family === SEA_KINDS ? 'sea' : weighted(GROUNDS, [4, 3, 2, 3], random);
  const isPair = family !== SKY_KINDS && random() < 0.4;
  const thing = (name: string) => withArticle(`${choice(COLORS, random)} ${(NAMES[name] as string[])[0]}`);
  const at = (position: string) => (POSITION_PHRASES[position] as string[])[0];

  let used: string | undefined;
  let text: string;
  if (!isPair) {
    const position = weighted(POSITIONS, [1, 2, 1], random);
    text = `${thing(kind)} ${at(position)}`;
    if (family === SKY_KINDS) used = position;
  } else {
    const inSky = random() < 0.3;
    const others = inSky ? SKY_KINDS : family.filter((other) => other !== kind);
    const places = random() < 0.5 ? ['left', 'right'] : ['right', 'left'];
    const [first, second] = places as [string, string];
    text = `${thing(kind)} ${at(first)} and ${thing(choice(others, random))} ${at(second)}`;
    if (inSky) used = second;
  }

  const sky = weighted(SKIES, [5, 3, 3], random);
  text += ` ${SKY_PHRASES[sky]?.[0]} ${family === SEA_KINDS ? 'on the sea' : GROUND_PHRASES[ground]?.[0]}`;
  const extras: string[] = [];
  const light = (name: string, colors: readonly string[]) => {
    const free = POSITIONS.filter((position) => position !== used);
    extras.push(`${withArticle(`${choice(colors, random)} ${name}`)} ${at(choice(free, random))}`);
  };
  if (sky === 'night' && random() < 0.45) light('moon', MOON_COLORS);
  if (sky !== 'night' && random() < (sky === 'day' ? 0.3 : 0.45)) light('sun', SUN_COLORS);
  if (random() < 0.2) extras.push('mountains');
  if (sky === 'day' && random() < 0.4) extras.push('clouds');
  return extras.length > 0 ? `${text} with ${extras.join(' and ')}` : text;
}

function withArticle(words: string): string {
  return `${/^[aeiou]/.test(words) ? 'an' : 'a'} ${words}`;
}

function choice<T>(list: readonly T[], random: Random): T {
  return list[Math.floor(random() * list.length)] as T;
}

function weighted<T>(list: readonly T[], weights: readonly number[], random: Random): T {
  let rest = random() * weights.reduce((a, b) => a + b, 0);
  for (const [i, weight] of weights.entries()) {
    rest -= weight;
    if (rest < 0) return list[i] as T;
  }
  return list[list.length - 1] as T;
}

/** Tommy Ettinger's mulberry32: numbers in [0, 1) that are the same everywhere. */
function mulberry32(seed: number): Random {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
