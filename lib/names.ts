import { basename } from 'node:path';
import { invalidArgument } from './errors.js';

/** A word may be this share of its length away from what was meant. */
const TOLERANCE = 0.4;

/** What other programs call options, without capitals and underscores; diffusers' own spellings come out by themselves. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  batchcount: 'numImages',
  batchsize: 'numImages',
  callback: 'onStep',
  callbackonstepend: 'onStep',
  cfg: 'guidanceScale',
  cfgscale: 'guidanceScale',
  denoisingstrength: 'strength',
  generator: 'seed',
  initimage: 'image',
  mask: 'maskImage',
  outputtype: 'output',
  sampler: 'scheduler',
  samplername: 'scheduler',
};

/** The known name that a wrong one is most likely to mean: guidanceScale for guidance_scale, steps for stepz. */
export function closest(name: string, known: readonly string[]): string | undefined {
  const plain = (text: string) => text.toLowerCase().replace(/[\s_.-]/g, '');
  const wanted = plain(name);
  const meant = Object.hasOwn(ELSEWHERE, wanted) ? ELSEWHERE[wanted] : undefined;
  if (meant !== undefined && known.includes(meant)) return meant;
  let best: { candidate: string; edits: number } | undefined;
  for (const candidate of known) {
    const other = plain(candidate);
    const most = Math.floor(TOLERANCE * Math.max(wanted.length, other.length));
    // What is much longer needs no look; names may be of any length.
    if (Math.abs(wanted.length - other.length) > most) continue;
    const edits = distance(wanted, other);
    if (edits <= most && edits < (best?.edits ?? Number.POSITIVE_INFINITY)) best = { candidate, edits };
  }
  return best?.candidate;
}

/** What to say about an unknown name: "did you mean steps?", or all that there are. */
export function unknownName(name: string, known: readonly string[]): string {
  const candidate = closest(name, known);
  return candidate === undefined ? `there are ${known.join(', ')}` : `did you mean ${candidate}?`;
}

/** Throws for the first name of an object that is none of those known, with what may have been meant. */
export function checkNames(options: object, known: readonly string[], prefix = ''): void {
  for (const key of Object.keys(options)) {
    if (!known.includes(key))
      throw invalidArgument(prefix + key, `is not an option; ${unknownName(key, known)}`);
  }
}

/** Letters to insert, delete, replace or swap (Damerau's distance of optimal string alignment). */
function distance(a: string, b: string): number {
  let [before, last] = [[] as number[], Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (last[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let edits = Math.min(replaced, (last[j] as number) + 1, (row[j - 1] as number) + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        edits = Math.min(edits, (before[j - 2] as number) + 1);
      }
      row.push(edits);
    }
    [before, last] = [last, row];
  }
  return last[b.length] as number;
}

/** What a network is called that nobody has named: its file's or folder's name, without an ending. */
export function stemOf(path: string): string {
  return basename(path).replace(/\.[^.]*$/, '') || path;
}
