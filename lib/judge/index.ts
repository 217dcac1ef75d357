export { readCaption } from './caption-reader.js';
export { sampleCaptions } from './captions.js';
export { Judge } from './judge.js';
export type { Scene, SceneLight, SceneObject } from './scene.js';
export { type Accuracy, type Attribute, accuracyOf, judgeScene, type Verdict } from './verdict.js';
