import { invalidArgument } from '../errors.js';
import { LIMITS, readSmallFile } from '../files/read.js';
import { sampleCaptions } from '../judge/index.js';

/** Prompts of flags: those given, a file's lines, or captions of the demo model's world. */
export async function promptList(
  flags: { prompt?: string[] | undefined; prompts?: string | undefined },
  captions: { count: number; seed: number; isDemo: boolean },
): Promise<string[]> {
  const given = [...(flags.prompt ?? []), ...(flags.prompts === undefined ? [] : await lines(flags.prompts))];
  if (given.length > 0) return given;
  if (captions.isDemo) return sampleCaptions(captions.count, captions.seed);
  throw invalidArgument('prompt', 'is missing: give prompts, or a file with --prompts');
}

async function lines(path: string): Promise<string[]> {
  const fail = (_: string, message: string) => invalidArgument('prompts', message);
  const text = (await readSmallFile(path, LIMITS.prompts, { fail })).toString('utf8');
  const prompts = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  if (prompts.length === 0) throw invalidArgument('prompts', `${path} has no prompt, one a line`);
  return prompts;
}
