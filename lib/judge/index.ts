export { readCaption, unknownWords } from './caption-reader.js';
export { sampleCaptions } from './captions.js';
export { Judge } from './judge.js';
export type { Scene, SceneLight, SceneObject } from './scene.js';
export {
  type Accuracy,
  ATTRIBUTE_GROUPS,
  type Attribute,
  type AttributeGroup,
  accuracyOf,
  judgeScene,
  shareOf,
  type Tally,
  type Verdict,
} from './verdict.js';
