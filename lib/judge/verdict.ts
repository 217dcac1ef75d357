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
  attribute: Attribute;
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

/** How many of the things asked for are there. */
export interface Accuracy {
  /** Of all things, of objects with colours and background alike. */
  all: number;
  /** Pictures that show all that their caption asks for. */
  pictures: number;
  /** For each kind of thing that was asked for. */
  attributes: Readonly<Partial<Record<Attribute, number>>>;
}

/** Shares from 0 to 1, of the verdicts of each picture. */
export function accuracyOf(pictures: readonly (readonly Verdict[])[]): Accuracy {
  const share = (list: readonly boolean[]) => list.filter(Boolean).length / list.length;
  const verdicts = pictures.flat();
  const names = [...new Set(verdicts.map(({ attribute }) => attribute))];
  return {
    all: share(verdicts.map(({ isRight }) => isRight)),
    pictures: share(pictures.map((list) => list.every(({ isRight }) => isRight))),
    attributes: Object.fromEntries(
      names.map((name) => [
        name,
        share(verdicts.filter(({ attribute }) => attribute === name).map(({ isRight }) => isRight)),
      ]),
    ),
  };
}
