import { repeatOptions } from '../settings/options.js';
import { readSettings } from '../settings/read.js';
import type { GenerateFlags } from './generate-options.js';

/** What a flag says takes the place of these, too. */
const TOGETHER: readonly (readonly string[])[] = [
  ['seed', 'seeds'],
  ['steps', 'numInferenceSteps', 'timesteps', 'sigmas'],
  ['numImages', 'numImagesPerPrompt'],
  ['scheduler', 'schedulerConfig', 'schedulerOptions'],
  ['prompt', 'prompts'],
  ['guidanceScale', 'guidanceSchedule'],
  ['cutoffStepIndex', 'cutoffStepRatio'],
];

/** Flags with those that a picture's settings stand for before them, and remarks about what the settings did not say. */
export async function withPicture(
  flags: GenerateFlags,
  signal: AbortSignal,
): Promise<{ flags: GenerateFlags; remarks: readonly string[] }> {
  if (flags.from === undefined) return { flags, remarks: [] };
  const { options, ignored, position } = repeatOptions(await readSettings(flags.from, { signal }));
  const given = flags as Readonly<Record<string, unknown>>;
  const isGiven = (name: string) => {
    const group = TOGETHER.find((names) => names.includes(name)) ?? [name];
    return group.some((one) => given[one] !== undefined);
  };
  const own = Object.fromEntries(
    Object.entries(options)
      .filter(([name]) => !isGiven(name))
      .map(([name, value]) => [name, name === 'prompt' ? [value] : value]),
  );
  const count = Number(options.numImages ?? 1);
  const remarks = [
    ...(ignored.length > 0 ? [`${flags.from}: not used of its settings: ${ignored.join(', ')}`] : []),
    ...(count > 1 ? [`${flags.from} is picture ${position + 1} of the ${count} of its run`] : []),
  ];
  return { flags: { ...own, ...flags }, remarks };
}
