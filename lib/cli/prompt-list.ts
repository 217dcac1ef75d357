import { readFile } from 'node:fs/promises';
import { invalidArgument, messageOf } from '../errors.js';
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
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw invalidArgument('prompts', `cannot be read: ${messageOf(error)}`);
  }
  const prompts = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  if (prompts.length === 0) throw invalidArgument('prompts', `${path} has no prompt, one a line`);
  return prompts;
}
