import { invalidArgument } from '../errors.js';
import { show } from '../messages.js';
import type { LoraUse } from './loras.js';
import type { LoraScale } from './scale.js';

/** <lora:name>, <lora:name:0.8>, <lora:name:0.5:0.8> (text encoders, U-Net), <lora:name:te=0.5:unet=0.8> */
const TAG = /<lora:([^:<>]{1,200})((?::[^:<>]{1,40}){0,3})>/g;

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
  const plain = text.replace(TAG, (tag, name: string, values: string) => {
    if (uses.has(name)) throw invalidArgument(option, `names the adapter ${show(name)} twice`);
    uses.set(name, { name, scale: scaleOfTag(option, tag, values.split(':').slice(1)) });
    return '';
  });
  return { text: plain, uses: [...uses.values()] };
}

function scaleOfTag(option: string, tag: string, values: readonly string[]): LoraScale {
  const positions: number[] = [];
  const named: { te?: number; unet?: number } = {};
  for (const value of values) {
    const [, name, number] = /^(?:(te|unet)=)?(-?(?:\d+\.?\d*|\.\d+))$/.exec(value.trim()) ?? [];
    if (number === undefined) {
      const what = 'must have numbers, as <lora:name:0.8> or <lora:name:te=0.5:unet=0.8>';
      throw invalidArgument(option, `holds ${show(tag)}, which ${what}`);
    }
    if (name === undefined) positions.push(Number(number));
    else named[name as 'te' | 'unet'] = Number(number);
  }
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
  return { options: { ...options, ...found }, uses: uses ?? [] };
}

function sorted(uses: readonly LoraUse[]): LoraUse[] {
  return [...uses].sort((a, b) => (a.name < b.name ? -1 : 1));
}
