import { PICTURE_FIELDS, picturesOfField } from './pictures.js';
import { flag, json, list, notA, number, type Reader, text } from './readers.js';

// Fields of our own pictures alone: other programs mean something else by them, or say too little.

/** Networks by their files, with how much each counts. */
function networks(files: string, values: Readonly<Record<string, string>>): Reader {
  return (given, name) => {
    let uses: unknown;
    try {
      uses = JSON.parse(given);
    } catch {}
    const isUse = (one: unknown) => typeof (one as { file?: unknown } | null)?.file === 'string';
    if (!Array.isArray(uses) || uses.length === 0 || uses.length > 16 || !uses.every(isUse))
      throw notA(name, 'a list of files', given);
    const of = (field: string) => uses.map((one: Record<string, unknown>) => one[field]);
    const rest = Object.entries(values).map(([field, option]) => [option, of(field)]);
    return { [files]: of('file'), ...Object.fromEntries(rest) };
  };
}

/** A number or list of them, as JSON. */
const mode: Reader = (given, name) => {
  try {
    return { controlMode: JSON.parse(given) as unknown };
  } catch {
    throw notA(name, 'JSON', given);
  }
};

/** Several numbers under names of their own. */
function numbers(...options: readonly string[]): Reader {
  return (given, name) => {
    const values = given.split(' ').map(Number);
    if (values.length !== options.length || !values.every(Number.isFinite))
      throw notA(name, `${options.length} numbers`, given);
    return Object.fromEntries(options.map((option, i) => [option, values[i]]));
  };
}

const pictures = (option: string): Reader => {
  return (given, name) => ({ [option]: picturesOfField(name, given) });
};

export const OWN_READERS: Readonly<Record<string, Reader>> = {
  'Prompt 2': text('prompt2'),
  'Negative prompt 2': text('negativePrompt2'),
  'Size conditions': (given, name) => json('sizes')(given, name).sizes as Record<string, unknown>,
  'Denoising strength': number('strength'),
  'Denoising end': number('denoisingEnd'),
  'Refiner switch at': number('refinerStart'),
  'Original kept': flag('keepOriginal'),
  'Mask blur': number('maskBlur'),
  // The padding says it.
  'Inpaint area': () => ({}),
  'Masked area padding': number('paddingMaskCrop'),
  'Image CFG scale': number('imageGuidanceScale'),
  'Noise level': number('noiseLevel'),
  Class: (given, name) => ({ classLabels: [number('label')(given, name).label] }),
  ...Object.fromEntries(PICTURE_FIELDS.map(({ field, option }) => [field, pictures(option)])),
  ControlNets: networks('controlNet', { scale: 'controlScale', start: 'controlStart', end: 'controlEnd' }),
  'Control mode': mode,
  'Control preprocess': (given) => ({ controlPreprocess: given.split(' ') }),
  'Control resize': text('controlResize'),
  'Guess mode': flag('guessMode'),
  'Control cache': text('controlCache'),
  'T2I-Adapters': networks('t2iAdapter', { scale: 't2iAdapterScale' }),
  'T2I-Adapter factor': number('t2iAdapterFactor'),
  // Which frames they are, or how many.
  Frames: (given, name) => {
    if (!given.includes(' ')) return number('numFrames')(given, name);
    const { frameIds } = list('frameIds')(given, name) as { frameIds: readonly number[] };
    return { frameIds, videoLength: frameIds.length };
  },
  FreeNoise: (given, name) => {
    const [, length, stride, weightingScheme, noiseType] =
      /^(\d+) stride (\d+) (\w+) (\w+)$/.exec(given) ?? [];
    if (noiseType === undefined) throw notA(name, 'LENGTH stride FRAMES WEIGHTS NOISE', given);
    const windows = { contextLength: Number(length), contextStride: Number(stride) };
    return { freeNoise: { ...windows, weightingScheme, noiseType } };
  },
  'Motion field': numbers('motionFieldStrengthX', 'motionFieldStrengthY'),
  'Turning points': numbers('t0', 't1'),
  'Min CFG scale': number('minGuidanceScale'),
  'Max CFG scale': number('maxGuidanceScale'),
  FPS: number('fps'),
  'Motion bucket': number('motionBucketId'),
  'Noise augmentation': number('noiseAugStrength'),
  'Decode chunk': number('decodeChunkSize'),
  'Interleaved contexts': flag('interleaveContexts'),
};

/** What a refined picture's fields say twice, and what other models do not take. */
export function tidied(
  options: Readonly<Record<string, unknown>>,
  fields: Readonly<Record<string, string>>,
): Record<string, unknown> {
  const { denoisingEnd, prompt, width, height, ...rest } = options;
  // Models without a text have no guidance by it, and but for videos one size alone.
  const isPrompted = 'CFG scale' in fields && !('Class' in fields);
  const isVideo = 'Motion bucket' in fields;
  return {
    ...rest,
    ...(isPrompted && { prompt }),
    ...((isPrompted || isVideo) && width !== undefined && { width, height }),
    // The refiner's beginning.
    ...(denoisingEnd !== undefined && options.refinerStart === undefined && { denoisingEnd }),
    // No word of it is a word against it, which the command line takes for granted.
    ...(isPrompted && 'Mask' in fields && { keepOriginal: options.keepOriginal === true }),
  };
}
