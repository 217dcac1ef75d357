import {
  COLORS,
  GROUND_PHRASES,
  NAMES,
  POSITION_PHRASES,
  type Scene,
  type SceneObject,
  SKY_PHRASES,
} from './scene.js';

type Meaning =
  | { type: 'object'; kind: string }
  | { type: 'position' | 'sky' | 'ground' | 'color' | 'side'; value: string }
  | { type: 'mountains' | 'clouds' };

const MEANINGS = new Map<string, Meaning>();
for (const [kind, names] of Object.entries({ ...NAMES, sun: ['sun'], moon: ['moon'] })) {
  for (const name of names) MEANINGS.set(name, { type: 'object', kind });
}
const phrases = { position: POSITION_PHRASES, sky: SKY_PHRASES, ground: GROUND_PHRASES } as const;
for (const type of ['position', 'sky', 'ground'] as const) {
  for (const [value, texts] of Object.entries(phrases[type])) {
    for (const text of texts) MEANINGS.set(text, { type, value });
  }
}
for (const value of ['left', 'right']) {
  for (const text of [`${value} of`, `to the ${value} of`]) MEANINGS.set(text, { type: 'side', value });
}
for (const value of COLORS) MEANINGS.set(value, { type: 'color', value });
MEANINGS.set('mountains', { type: 'mountains' });
MEANINGS.set('clouds', { type: 'clouds' });
MEANINGS.set('white clouds', { type: 'clouds' });

/** Longest first, so that "on the left side" is not read as "on the left". */
const PATTERN = new RegExp(
  `\\b(?:${[...MEANINGS.keys()].sort((a, b) => b.length - a.length).join('|')})\\b`,
  'g',
);

/**
 * What a caption of the demo model's grammar asks for; words that it does not know are passed over, also inside of
 * phrases.
 */
export function readCaption(caption: string): Scene {
  const objects: SceneObject[] = [];
  const scene: Scene = { objects };
  let color: string | undefined;
  let last: SceneObject | undefined;
  let side: string | undefined;
  for (const [text] of knownWords(caption).matchAll(PATTERN)) {
    const meaning = MEANINGS.get(text) as Meaning;
    if (meaning.type === 'color') color = meaning.value;
    else if (meaning.type === 'object') {
      last = { kind: meaning.kind, ...(color && { color }) };
      color = undefined;
      if (side) last.position = side === 'left' ? 'right' : 'left';
      side = undefined;
      if (meaning.kind === 'sun' || meaning.kind === 'moon') {
        // The object itself, since its position may follow.
        scene[meaning.kind] = last;
      } else objects.push(last);
    } else if (meaning.type === 'position' && last) last.position = meaning.value;
    else if (meaning.type === 'side' && last) {
      last.position = meaning.value;
      side = meaning.value;
    } else if (meaning.type === 'sky') scene.sky = meaning.value;
    else if (meaning.type === 'ground') scene.ground = meaning.value;
    else if (meaning.type === 'mountains') scene.mountains = true;
    else if (meaning.type === 'clouds') scene.clouds = true;
  }
  return scene;
}

const WORDS = new Set([...MEANINGS.keys()].flatMap((text) => text.split(' ')));

/** Words that captions of the grammar have besides, and that say nothing to a judge. */
const CONNECTING = new Set(
  'a an the of and with to picture postcard illustration painting drawing background distant above sky'.split(
    ' ',
  ),
);

/** Words of a prompt that are not in the demo model's world: it was trained to ignore such words. */
export function unknownWords(prompt: string): string[] {
  const words = prompt.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  return [...new Set(words.filter((word) => !WORDS.has(word) && !CONNECTING.has(word)))];
}

function knownWords(caption: string): string {
  const words = caption.toLowerCase().match(/[a-z]+/g) ?? [];
  return words.filter((word) => WORDS.has(word)).join(' ');
}
