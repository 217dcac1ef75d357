import type { Sliced } from '../slices.js';
import { MOST_LEVELS, parsePythonJson, TooMuchJson } from './python-json.js';

/** Characters of a part, which JSON.parse reads at once. */
const PART = 2 ** 13;
/** Texts that are read at once. */
const SMALL = 2 ** 13;
/** Characters that are looked at between pauses. */
const STRETCH = 2 ** 14;
/** Items of a list: twice what CLIP's vocabulary has. The engine moves all of them at once as they grow. */
const MOST_ITEMS = 2 ** 17;

/** The keys of large objects: an engine that is asked for a million of them stops for tens of milliseconds. */
const KEYS = new WeakMap<object, string[][]>();

/** An object's keys, with those of {@link jsonSlices} in the order of the text, twice where the text has them twice. */
export function* keysOf(value: object): Iterable<string> {
  for (const keys of KEYS.get(value) ?? [Object.keys(value)]) yield* keys;
}

type Container = Record<string, unknown> | unknown[];

/** A list or an object that was opened and not closed. */
interface Frame {
  open: number;
  isObject: boolean;
  /** Where what was not read yet begins, and the item or entry at which the scan is. */
  rest: number;
  item: number;
  /** From the first part on that is read for itself; most are read as a part of what is around them. */
  value?: Container;
  /** Items that `value` may get yet. */
  left: number;
  /** Where an item ended that is in `value` already. */
  done?: number;
}

function frameAt(text: string, open: number, mostEntries: number): Frame {
  const isObject = text[open] === '{';
  return { open, isObject, rest: open + 1, item: open + 1, left: isObject ? mostEntries : MOST_ITEMS };
}

/**
 * What {@link parsePythonJson} gives, in parts of {@link PART} characters.
 *
 * @param mostEntries of an object, in a text that is not small.
 */
export function* jsonSlices(text: string, mostEntries = MOST_ITEMS): Sliced<unknown> {
  if (text.length <= SMALL) return parsePythonJson(text);
  const frames: Frame[] = [];
  let root: { value: Container; end: number } | undefined;
  let pause = STRETCH;
  for (let i = 0; i < text.length; i++) {
    if (i >= pause) {
      yield;
      pause = i + STRETCH;
    }
    const frame = frames.at(-1);
    switch (text.charCodeAt(i)) {
      case 34: // "
        for (i++; i < text.length && text.charCodeAt(i) !== 34; i++) {
          if (text.charCodeAt(i) === 92) i++;
          if (i < pause) continue;
          yield;
          pause = i + STRETCH;
        }
        break;
      case 91: // [
      case 123: // {
        if (root) throw unexpected(text, i);
        if (frames.length === MOST_LEVELS) {
          throw new TooMuchJson(`more than ${MOST_LEVELS} levels of lists and objects`);
        }
        frames.push(frameAt(text, i, mostEntries));
        break;
      case 44: // ,
        if (!frame) throw unexpected(text, i);
        if (frame.done !== undefined || i - frame.rest >= PART) read(text, frames, frames.length - 1, i);
        frame.item = i + 1;
        break;
      case 93: // ]
      case 125: // }
        if (!frame || frame.isObject !== (text[i] === '}')) throw unexpected(text, i);
        if (frame.value) {
          read(text, frames, frames.length - 1, i);
          const around = frames.at(-2);
          if (around) around.done = i + 1;
          else root = { value: frame.value, end: i + 1 };
        }
        frames.pop();
        break;
    }
  }
  if (frames.length > 0) throw new SyntaxError('Unexpected end of JSON input');
  // Nothing that is long: JSON.parse is done soon, or soon reports what is wrong.
  if (!root) return parsePythonJson(text);
  requireBlank(text, root.end, text.length);
  return root.value;
}

/** Reads what is left of a frame up to the place `end`, where an item of it ends. */
function read(text: string, frames: readonly Frame[], index: number, end: number): void {
  const frame = frames[index] as Frame;
  const value = begin(text, frames, index);
  if (frame.done !== undefined) {
    requireBlank(text, frame.done, end);
    delete frame.done;
  } else {
    addPart(text, frame, value, end);
  }
  // Behind the comma; after the last item nothing is read.
  frame.rest = end + 1;
}

/** The frame's list or object, which from now on is no part of what is around it. */
function begin(text: string, frames: readonly Frame[], index: number): Container {
  const frame = frames[index] as Frame;
  if (frame.value) return frame.value;
  frame.value = frame.isObject ? {} : [];
  if (frame.isObject) KEYS.set(frame.value, []);
  const around = frames[index - 1];
  if (!around) {
    requireBlank(text, 0, frame.open);
    return frame.value;
  }
  const value = begin(text, frames, index - 1);
  if (around.item > around.rest) {
    addPart(text, around, value, around.item - 1);
    around.rest = around.item;
  }
  const before = text.slice(around.item, frame.open);
  spend(around, 1);
  if (!around.isObject) {
    requireBlank(text, around.item, frame.open);
    (value as unknown[]).push(frame.value);
  } else {
    const [key] = Object.keys(parse(`{${before}0}`, around.item) as object);
    put(value as Record<string, unknown>, key as string, frame.value);
    KEYS.get(value)?.push([key as string]);
  }
  return frame.value;
}

/** Adds the items or entries between `rest` and `end`: at least one. */
function addPart(text: string, frame: Frame, value: Container, end: number): void {
  const { isObject, rest } = frame;
  const part = text.slice(rest, end);
  if (part.trim() === '') throw unexpected(text, end);
  if (!isObject) {
    const items = parse(`[${part}]`, rest) as unknown[];
    spend(frame, items.length);
    for (const item of items) (value as unknown[]).push(item);
    return;
  }
  const entries = parse(`{${part}}`, rest) as Record<string, unknown>;
  const keys = Object.keys(entries);
  spend(frame, keys.length);
  for (const key of keys) put(value as Record<string, unknown>, key, entries[key]);
  KEYS.get(value)?.push(keys);
}

function spend(frame: Frame, count: number): void {
  frame.left -= count;
  if (frame.left < 0)
    throw new TooMuchJson(`too many ${frame.isObject ? 'entries in an object' : 'items in a list'}`);
}

/** As JSON.parse does: `__proto__` is a key like others. */
function put(object: Record<string, unknown>, key: string, value: unknown): void {
  if (key !== '__proto__') object[key] = value;
  else Object.defineProperty(object, key, { value, configurable: true, enumerable: true, writable: true });
}

function parse(part: string, start: number): unknown {
  try {
    return parsePythonJson(part);
  } catch (error) {
    throw new SyntaxError(`${(error as Error).message}, in what begins at character ${start}`);
  }
}

function requireBlank(text: string, start: number, end: number): void {
  const found = text.slice(start, end).search(/[^ \t\n\r]/);
  if (found >= 0) throw unexpected(text, start + found);
}

function unexpected(text: string, place: number): SyntaxError {
  return new SyntaxError(`Unexpected ${JSON.stringify(text[place])} at character ${place}`);
}
