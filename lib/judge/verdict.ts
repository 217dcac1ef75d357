import type { Scene, SceneLight } from './scene.js';

/** What a caption can ask for. */
export type Attribute =
  | 'object'
  | 'color'
  | 'position'
  | 'sky'
  | 'ground'
  | 'sun'
  | 'moon'
  | 'mountains'
  | 'clouds';

/** Whether a picture shows something that was asked for. */
export interface Verdict {
  /** What was asked about. */
  attribute: Attribute;
  /** Whether the picture shows it. */
  isRight: boolean;
}

/**
 * Compares what was asked for with what is there. An object's colour and position are right when any object of its
 * kind has them, so a missing object is wrong in all three. What was not asked for may be there or not.
 */
export function judgeScene(asked: Scene, shown: Scene): Verdict[] {
  const verdicts: Verdict[] = [];
  const add = (attribute: Attribute, isRight: boolean) => verdicts.push({ attribute, isRight });
  for (const { kind, color, position } of asked.objects) {
    const same = shown.objects.filter((object) => object.kind === kind);
    add('object', same.length > 0);
    if (color)
      add(
        'color',
        same.some((object) => object.color === color),
      );
    if (position)
      add(
        'position',
        same.some((object) => object.position === position),
      );
  }
  const isSame = (light: SceneLight, other: SceneLight | undefined) =>
    other !== undefined &&
    (light.color === undefined || light.color === other.color) &&
    (light.position === undefined || light.position === other.position);
  if (asked.sky) add('sky', asked.sky === shown.sky);
  if (asked.ground) add('ground', asked.ground === shown.ground);
  if (asked.sun) add('sun', isSame(asked.sun, shown.sun));
  if (asked.moon) add('moon', isSame(asked.moon, shown.moon));
  if (asked.mountains) add('mountains', shown.mountains === true);
  if (asked.clouds) add('clouds', shown.clouds === true);
  return verdicts;
}

/** Attributes that one speaks of together. */
export const ATTRIBUTE_GROUPS = {
  objects: ['object', 'position'],
  colors: ['color'],
  background: ['sky', 'ground', 'sun', 'moon', 'mountains', 'clouds'],
} as const satisfies Readonly<Record<string, readonly Attribute[]>>;

/** A kind of attributes, one of {@link ATTRIBUTE_GROUPS}. */
export type AttributeGroup = keyof typeof ATTRIBUTE_GROUPS;

/** So many of so many. */
export interface Tally {
  /** So many are right. */
  right: number;
  /** Of so many. */
  of: number;
}

/** How many of the things asked for are there. */
export interface Accuracy {
  /** Of all things: objects with colours, and the background. */
  all: Tally;
  /** Pictures that show all that their caption asks for. */
  pictures: Tally;
  /** Of each group of attributes. */
  groups: Readonly<Record<AttributeGroup, Tally>>;
  /** Those that were asked for. */
  attributes: Readonly<Partial<Record<Attribute, Tally>>>;
}

/** Counts the verdicts of pictures, given for each picture. */
export function accuracyOf(pictures: readonly (readonly Verdict[])[]): Accuracy {
  const tally = (list: readonly boolean[]): Tally => ({
    right: list.filter(Boolean).length,
    of: list.length,
  });
  const verdicts = pictures.flat();
  const tallyOf = (attributes: readonly Attribute[]) =>
    tally(verdicts.filter(({ attribute }) => attributes.includes(attribute)).map(({ isRight }) => isRight));
  const { objects, colors, background } = ATTRIBUTE_GROUPS;
  const asked = Object.values(ATTRIBUTE_GROUPS)
    .flat()
    .filter((name) => verdicts.some(({ attribute }) => attribute === name));
  return {
    all: tally(verdicts.map(({ isRight }) => isRight)),
    pictures: tally(pictures.map((list) => list.every(({ isRight }) => isRight))),
    groups: { objects: tallyOf(objects), colors: tallyOf(colors), background: tallyOf(background) },
    attributes: Object.fromEntries(asked.map((name) => [name, tallyOf([name])])),
  };
}

/** 1 for all right; NaN where nothing was asked for. */
export const shareOf = ({ right, of }: Tally): number => right / of;
