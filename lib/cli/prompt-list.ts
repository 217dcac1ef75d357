import { untilAborted } from '../aborting.js';
import { invalidArgument } from '../errors.js';
import { LIMITS, readSmallFile } from '../files/read.js';
import { sampleCaptions } from '../judge/index.js';
import type { CliContext } from './context.js';
import { STDOUT as STDIN } from './output-file.js';
import { promptLimit, promptsOf } from './prompt-files.js';

export const PROMPTS_HELP =
  'prompts, one per line (.txt), captions of COCO (.json) or a table with a column "Prompt" as PartiPrompts (.tsv); - is stdin';

interface PromptFlags {
  /** Texts; "-" is the text of standard input. */
  prompt?: string[] | undefined;
  /** A file with one prompt a line, or others, see `promptsOf`; "-" is standard input. */
  prompts?: string | undefined;
}

/** Prompts of flags: those given and a file's lines; undefined when there are none. */
export async function givenPrompts(flags: PromptFlags, context: CliContext): Promise<string[] | undefined> {
  const fromInput = [...(flags.prompt ?? []), flags.prompts].filter((source) => source === STDIN);
  if (fromInput.length > 1)
    throw invalidArgument('prompt', 'reads standard input, which can be read only once');
  const given: string[] = [];
  for (const text of flags.prompt ?? []) {
    given.push(text === STDIN ? (await readInput('prompt', context)).trim() : text);
  }
  const prompts = flags.prompts === undefined ? given : [...given, ...(await lines(flags.prompts, context))];
  return prompts.length > 0 ? prompts : undefined;
}

/** The same, with captions of the demo model's world where there are none. */
export async function promptList(
  flags: PromptFlags,
  captions: { count: number; seed: number; isDemo: boolean },
  context: CliContext,
): Promise<string[]> {
  const given = await givenPrompts(flags, context);
  if (given) return given;
  if (captions.isDemo) return sampleCaptions(captions.count, captions.seed);
  throw invalidArgument('prompt', 'is missing: give prompts, or a file with --prompts');
}

async function lines(path: string, context: CliContext): Promise<string[]> {
  const fail = (_: string, message: string) => invalidArgument('prompts', `${path} ${message}`);
  const { signal } = context;
  const text =
    path === STDIN
      ? await readInput('prompts', context)
      : (await readSmallFile(path, promptLimit(path), { fail, signal })).toString('utf8');
  const prompts = promptsOf(path, text);
  if (prompts.length > 0) return prompts;
  const source = path === STDIN ? 'standard input' : path;
  throw invalidArgument('prompts', `${source} has no prompts; give one per line`);
}

async function readInput(option: string, { input, signal }: CliContext): Promise<string> {
  const read = async () => {
    const parts: Uint8Array[] = [];
    let bytes = 0;
    for await (const part of input()) {
      bytes += part.length;
      if (bytes > LIMITS.prompts) {
        throw invalidArgument(option, `cannot have more than ${LIMITS.prompts} bytes of standard input`);
      }
      parts.push(part);
    }
    return Buffer.concat(parts).toString('utf8');
  };
  const text = await untilAborted(read(), signal);
  // A byte order mark is no part of a prompt.
  if (text.trim() === '') throw invalidArgument(option, 'is missing: standard input is empty');
  return text.replace(/^\ufeff/, '');
}
