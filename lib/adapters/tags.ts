import { invalidArgument } from '../errors.js';
import { show } from '../messages.js';
import type { LoraUse } from './loras.js';
import { type LoraScale, MOST_SCALE } from './scale.js';

/**
 * <lora:name>, <lora:name:0.8>, <lora:name:0.5:0.8> (text encoders, U-Net), <lora:name:te=0.5:unet=0.8>; the web UI knows
 * <lyco: too. What begins so is meant so: with a slip in it it is an error, and no text.
 */
const TAG = /<(?:lora|lyco):([^<>]*)(>?)/gi;

/** Whether a text has tags, or what was meant as one. */
export function hasTags(text: string): boolean {
  return text.search(TAG) >= 0;
}

/** A text without its tags, and what they ask for. */
export interface TaggedText {
  readonly text: string;
  readonly uses: readonly LoraUse[];
}

/**
 * Takes the adapters out of a prompt, as AUTOMATIC1111's web UI writes them.
 *
 * @param option that the text belongs to, for messages.
 */
export function readTags(option: string, text: string): TaggedText {
  const uses = new Map<string, LoraUse>();
  const plain = text.replace(TAG, (tag, inner: string, end: string) => {
    const fail = (problem: string) =>
      invalidArgument(
        option,
        `holds ${show(tag)}, ${problem}; it must be as <lora:name:0.8> or <lora:name:te=0.5:unet=0.8>`,
      );
    if (end === '') throw fail('which does not end');
    const [name = '', ...values] = inner.split(':').map((part) => part.trim());
    if (name === '') throw fail('which names no adapter');
    if (uses.has(name)) throw invalidArgument(option, `names the adapter ${show(name)} twice`);
    uses.set(name, { name, scale: scaleOfTag(values, fail) });
    return '';
  });
  return { text: plain, uses: [...uses.values()] };
}

function scaleOfTag(values: readonly string[], fail: (problem: string) => Error): LoraScale {
  const positions: number[] = [];
  const named: { te?: number; unet?: number } = {};
  for (const value of values) {
    const [, name, number] = /^(?:(te|unet)=)?([-+]?(?:\d+\.?\d*|\.\d+))$/.exec(value) ?? [];
    if (number === undefined) throw fail(`in which ${show(value)} is no number`);
    if (Math.abs(Number(number)) > MOST_SCALE)
      throw fail(`in which ${number} is not from -${MOST_SCALE} to ${MOST_SCALE}`);
    if (name === undefined) positions.push(Number(number));
    else if (named[name as 'te' | 'unet'] !== undefined) throw fail(`which has ${name}= twice`);
    else named[name as 'te' | 'unet'] = Number(number);
  }
  // The web UI's third one is the rank to cut factors down to, which is not done here.
  if (positions.length > 2) throw fail('which has more than two numbers');
  const [te = 1, unet = te] = positions;
  const text = named.te ?? te;
  const net = named.unet ?? unet;
  return text === net ? net : { unet: net, textEncoder: text, textEncoder2: text };
}

type Texts = string | readonly string[];

/** Options whose texts may hold tags. */
interface Tagged {
  readonly prompt?: Texts;
  readonly prompt2?: Texts;
  readonly negativePrompt?: Texts;
  readonly negativePrompt2?: Texts;
}

/**
 * Takes the adapters out of a run's prompts. All pictures of a run are made by the same weights: each prompt must name
 * the same ones.
 */
export function takeTags<T extends Tagged>(options: T): { options: T; uses: readonly LoraUse[] } {
  const found: Partial<Record<keyof Tagged, Texts>> = {};
  let uses: readonly LoraUse[] | undefined;
  for (const name of ['prompt', 'prompt2'] as const) {
    const given = options[name];
    if (given === undefined) continue;
    const texts = (typeof given === 'string' ? [given] : given).map((text) => readTags(name, text));
    // Prompts for the second encoder say the same again, or nothing.
    const some = name === 'prompt' ? texts : texts.filter((one) => one.uses.length > 0);
    for (const one of some) {
      uses ??= one.uses;
      if (JSON.stringify(sorted(one.uses)) === JSON.stringify(sorted(uses))) continue;
      throw invalidArgument(
        name,
        'names other adapters, or other scales, than the prompts before: one run has the same for all its pictures',
      );
    }
    found[name] = typeof given === 'string' ? (texts[0]?.text ?? '') : texts.map(({ text }) => text);
  }
  for (const name of ['negativePrompt', 'negativePrompt2'] as const) {
    const tagged = [options[name] ?? []].flat().some((text) => typeof text === 'string' && hasTags(text));
    if (tagged)
      throw invalidArgument(name, 'names an adapter: only prompts do, which count for the whole run');
  }
  return { options: { ...options, ...found }, uses: uses ?? [] };
}

function sorted(uses: readonly LoraUse[]): LoraUse[] {
  return [...uses].sort((a, b) => (a.name < b.name ? -1 : 1));
}
