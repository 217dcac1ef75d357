import { existsSync } from 'node:fs';
import { DeepCacheError } from '../errors.js';
import { hashOf } from '../images/hash.js';
import { loadPicture } from '../images/input.js';
import { show } from '../messages.js';
import { repeatOptions } from '../settings/options.js';
import { PICTURE_FIELDS, type PictureUse } from '../settings/pictures.js';
import { readSettings } from '../settings/read.js';
import { attributeOf, isFlagged } from './flags.js';
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
  ['numFrames', 'videoLength', 'frameIds'],
  ['controlNet', 'control', 'controlScale', 'controlStart', 'controlEnd'],
  ['controlImage', 'control'],
  ['t2iAdapter', 't2iAdapterScale'],
];

/** As many of them at other places count as much. */
const NETWORKS: readonly string[] = ['controlNet', 't2iAdapter'];

/** Flags that are no options of the library. */
const OWN_FLAGS = ['schedulerConfig', 'ipAdapter', 'refinerStart'];
/** Its flag has another form than the option. */
const NO_FLAGS = ['freeNoise'];

interface Repeated {
  readonly flags: GenerateFlags;
  /** Options of the library that have no flag. */
  readonly options: Readonly<Record<string, unknown>>;
  /** About what the settings did not say. */
  readonly remarks: readonly string[];
}

/** Flags with those that a picture's settings stand for before them. */
export async function withPicture(flags: GenerateFlags, signal: AbortSignal): Promise<Repeated> {
  if (flags.from === undefined) return { flags, options: {}, remarks: [] };
  const { options, ignored, position } = repeatOptions(await readSettings(flags.from, { signal }));
  const given = flags as Readonly<Record<string, unknown>>;
  const isMoved = (network: string, name: string) =>
    NETWORKS.includes(network) &&
    network !== name &&
    [given[network]].flat().length === [options[network] ?? []].flat().length;
  const isGiven = (name: string) => {
    const group = TOGETHER.find((names) => names.includes(name)) ?? [name];
    // A flag that turns something off is there when nobody gives it.
    const isDefault = name === 'keepOriginal' && flags.keepOriginal === true;
    const others = group.filter((one) => given[attributeOf(one)] !== undefined && !isMoved(one, name));
    return !isDefault && others.length > 0;
  };
  const own: Record<string, unknown> = {};
  const others: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(options)) {
    if (isGiven(name)) continue;
    const isPicture = PICTURE_FIELDS.some(({ option }) => option === name);
    const taken = isPicture ? await filesOf(name, value, signal) : value;
    const hasFlag = OWN_FLAGS.includes(name) || (isFlagged(name) && !NO_FLAGS.includes(name));
    if (hasFlag) own[attributeOf(name)] = name === 'prompt' ? [taken] : taken;
    else others[name] = taken;
  }
  const count = Number(options.numImages ?? 1);
  const remarks = [
    ...(ignored.length > 0 ? [`${flags.from}: not used of its settings: ${ignored.join(', ')}`] : []),
    ...(count > 1 ? [`${flags.from} is picture ${position + 1} of the ${count} of its run`] : []),
  ];
  const { keepOriginal, ...rest } = flags;
  const kept = own.keepOriginal ?? keepOriginal;
  return {
    flags: { ...own, ...rest, ...(kept !== undefined && { keepOriginal: kept as boolean }) },
    options: others,
    remarks,
  };
}

/** The files of pictures, which must be there as they were. */
async function filesOf(name: string, uses: unknown, signal: AbortSignal): Promise<unknown> {
  if (Array.isArray(uses)) {
    const files: unknown[] = [];
    for (const one of uses) files.push(await filesOf(name, one, signal));
    return files;
  }
  const { file, hash } = uses as PictureUse;
  const flag = `--${attributeOf(name).replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  const fail = (why: string) => new DeepCacheError('ERR_DEEPCACHE_UNSUPPORTED', `${why}; give ${flag}`);
  if (file === undefined)
    throw fail('the picture was made from one that was no file, which its settings do not hold');
  if (!existsSync(file)) throw fail(`the picture was made from ${show(file)}, which is not there`);
  const now = await hashOf(await loadPicture('from', file, signal), signal);
  if (hash !== undefined && now !== hash)
    throw fail(`${show(file)} is another picture than the one that was used`);
  return file;
}
