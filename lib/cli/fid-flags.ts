import { writeFile } from 'node:fs/promises';
import { extname } from 'node:path';
import { invalidArgument } from '../errors.js';
import { Fid } from '../fid/index.js';
import { statisticsFile } from '../fid/statistics-file.js';
import { FLUSHED, OutputFile } from './output-file.js';
import { type StatusLine, WorkProgress } from './status-line.js';

export interface FidFlags {
  fid?: string | undefined;
  inception?: string | undefined;
  saveStats?: string | undefined;
}

export const FID_HELP = {
  fid: 'reference pictures, a folder or the .npz file of pytorch-fid: how far those of each setting are from them; needs --inception',
  inception:
    "FID's Inception v3: pt_inception-2015-12-05-6726825d.pth of pytorch-fid, or the same as safetensors",
  saveStats: 'with --fid FOLDER: its statistics are kept in this .npz file, for --fid and pytorch-fid',
} as const;

/** Throws what is wrong with these flags together. */
export function checkFidFlags({ fid, inception, saveStats }: FidFlags): void {
  if (fid === undefined) {
    const name = inception !== undefined ? 'inception' : saveStats !== undefined ? 'saveStats' : undefined;
    if (name) throw invalidArgument(name, 'is for FID: give --fid too');
    return;
  }
  if (inception === undefined)
    throw invalidArgument(
      'fid',
      "needs the network's file: give --inception, pytorch-fid's .pth of your own",
    );
  if (saveStats !== undefined && extname(fid).toLowerCase() === '.npz')
    throw invalidArgument(
      'saveStats',
      `keeps the statistics of a folder of pictures; ${fid} has some already`,
    );
}

interface Reporting {
  line: StatusLine;
  signal: AbortSignal;
}

/** What {@link openFid} found. */
interface OpenedFid extends Disposable {
  readonly fid: Fid;
  readonly stats: OutputFile | undefined;
}

/** Loads the network and looks at every reference picture; undefined without --fid. */
export async function openFid(
  { fid: place, inception, saveStats, force }: FidFlags & { force?: boolean | undefined },
  { line, signal, threads }: Reporting & { threads?: number | undefined },
): Promise<OpenedFid | undefined> {
  if (place === undefined) return undefined;
  const options = { option: 'saveStats', endings: ['.npz'], force };
  const stats = saveStats === undefined ? undefined : await OutputFile.prepare(saveStats, options);
  if (stats?.remark) line.warn(stats.remark);
  const onProgress = progress(line, 'looking at the reference');
  const fid = await Fid.open(place, inception as string, { threads, signal, onProgress });
  return { fid, stats, [Symbol.dispose]: () => fid.dispose() };
}

/** Computes the reference's statistics, and keeps them; the file where they are. */
export async function prepareFid(
  opened: OpenedFid | undefined,
  { resume }: { resume?: string | undefined },
  { line, signal, pictures }: Reporting & { pictures: number },
): Promise<string | undefined> {
  if (!opened) return undefined;
  const { fid, stats } = opened;
  for (const note of fid.notes(pictures)) line.remark(note);
  const statistics = await fid.prepare({
    ...(resume !== undefined && { resume: `${resume}.reference` }),
    signal,
    onProgress: progress(line, 'reference pictures'),
  });
  return stats?.write(0, (part) => writeFile(part, statisticsFile(statistics), FLUSHED));
}

function progress(line: StatusLine, label: string): (done: number, total: number) => void {
  const work = new WorkProgress(line, label, (count) => `${count}`);
  return (done, total) => work.update(done, total);
}
