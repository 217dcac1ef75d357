/** What a picture of the demo model shows, or what a caption asks for, where nothing is said about the rest. */
export interface Scene {
  /** What stands in front. */
  objects: readonly SceneObject[];
  /** What the sky is. */
  sky?: string;
  /** What the ground is. */
  ground?: string;
  /** The sun, if there is one. */
  sun?: SceneLight;
  /** The moon, if there is one. */
  moon?: SceneLight;
  /** Whether there are mountains. */
  mountains?: boolean;
  /** Whether there are clouds. */
  clouds?: boolean;
}

/** A thing of a scene. */
export interface SceneObject {
  /** What it is, as captions name it. */
  kind: string;
  /** Its colour, as captions name it. */
  color?: string;
  /** Where it stands. */
  position?: string;
}

/** Sun or moon of a scene. */
export type SceneLight = Omit<SceneObject, 'kind'>;

// The words of weights-tools/demo-model/scene.py and captions.py.

export const COLORS = ['red', 'orange', 'yellow', 'green', 'blue', 'purple', 'pink', 'white', 'black'];
export const GROUND_KINDS = ['house', 'barn', 'tree', 'flower', 'car', 'cat', 'mushroom'];
export const SEA_KINDS = ['boat', 'fish'];
export const SKY_KINDS = ['balloon', 'kite'];
export const POSITIONS = ['left', 'center', 'right'];
export const SKIES = ['day', 'sunset', 'night'];
export const GROUNDS = ['meadow', 'snow', 'sea', 'desert'];
export const SUN_COLORS = ['yellow', 'orange', 'red'];
export const MOON_COLORS = ['white', 'yellow'];

/** Words for each kind of object; the first is the usual one. */
export const NAMES: Readonly<Record<string, readonly string[]>> = {
  house: ['house', 'cottage', 'home'],
  barn: ['barn'],
  tree: ['tree'],
  flower: ['flower', 'tulip'],
  car: ['car'],
  cat: ['cat', 'kitten'],
  mushroom: ['mushroom', 'toadstool'],
  boat: ['boat', 'sailboat', 'ship'],
  fish: ['fish'],
  balloon: ['balloon', 'hot air balloon'],
  kite: ['kite'],
};

export const POSITION_PHRASES: Readonly<Record<string, readonly string[]>> = {
  left: ['on the left', 'on the left side'],
  center: ['in the middle', 'in the center'],
  right: ['on the right', 'on the right side'],
};

export const SKY_PHRASES: Readonly<Record<string, readonly string[]>> = {
  day: ['under a blue sky', 'on a sunny day', 'during the day', 'by day', 'on a clear day'],
  sunset: ['at sunset', 'under an orange sky', 'in the evening', 'at dusk'],
  night: ['at night', 'under the stars', 'under a starry sky', 'under a dark sky'],
};

export const GROUND_PHRASES: Readonly<Record<string, readonly string[]>> = {
  meadow: [
    'in a meadow',
    'on a green meadow',
    'on green grass',
    'in a green field',
    'on the grass',
    'on green meadow',
  ],
  snow: ['in the snow', 'in winter', 'on snowy ground'],
  sea: ['by the sea', 'at the beach', 'on the sea', 'on the water', 'on blue water'],
  desert: ['in the desert', 'on the sand'],
};
