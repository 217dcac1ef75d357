import { basename, extname } from 'node:path';
import { invalidArgument } from '../errors.js';
import { parseJsonObject } from '../files/json.js';
import { LIMITS } from '../files/read.js';

/** Most bytes of a file of prompts; lists of captions have more beside each of them. */
export function promptLimit(path: string): number {
  return extname(path).toLowerCase() === '.json' ? LIMITS.captions : LIMITS.prompts;
}

/**
 * The prompts of a file's text, by how its name ends: .json are captions as COCO has them, of each picture the first; .tsv a
 * table with a column "Prompt", as PartiPrompts; anything else is one prompt a line.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT or ERR_DEEPCACHE_INVALID_CONFIG naming the file.
 */
export function promptsOf(path: string, text: string): string[] {
  const plain = text.replace(/^\ufeff/, '');
  const ending = extname(path).toLowerCase();
  if (ending === '.json') return captions(path, plain);
  const lines = plain.split(/\r?\n/);
  return (ending === '.tsv' ? column(path, lines) : lines)
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

function captions(path: string, text: string): string[] {
  const { annotations } = parseJsonObject(path, text);
  const wrong = (what: string) => invalidArgument('prompts', `${path} ${what}`);
  if (!Array.isArray(annotations)) throw wrong('has no list "annotations", as files of COCO captions have');
  const first = new Map<unknown, string>();
  for (const [i, entry] of annotations.entries()) {
    const { image_id: image, caption } = (entry ?? {}) as { image_id?: unknown; caption?: unknown };
    if (typeof caption !== 'string' || image === undefined)
      throw wrong(`has an annotation without "caption" and "image_id": number ${i + 1} of ${basename(path)}`);
    // Captions were written on one line, or should have been.
    const words = caption.trim().replace(/\s+/g, ' ');
    if (words !== '' && !first.has(image)) first.set(image, words);
  }
  return [...first.values()];
}

/** What tables quote has quotes around all of it, and those within doubled. */
const QUOTED = /^"(?:[^"]|"")*"$/;

function column(path: string, [head = '', ...rows]: string[]): string[] {
  const cells = (line: string) =>
    line.split('\t').map((cell) => (QUOTED.test(cell) ? cell.slice(1, -1).replaceAll('""', '"') : cell));
  const place = cells(head).findIndex((title) => title.trim().toLowerCase() === 'prompt');
  if (place < 0) throw invalidArgument('prompts', `${path} has no column "Prompt" in its first line`);
  return rows.map((row) => cells(row)[place] ?? '');
}
