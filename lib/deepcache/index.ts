export {
  type BranchLayout,
  branchCount,
  branchFromDdpm,
  branchFromHelper,
  branchFromLdm,
  branchFromPaperCode,
  branchFromPaperText,
  branchFromSvd,
  type LayersPerBlock,
  validateBranch,
} from './branches.js';
export { featureLineFactor } from './feature-forecast.js';
export { lineFactor, withForecasts } from './forecast.js';
export type { GateSettings } from './gate.js';
export {
  lateList,
  type NonuniformList,
  sampleFromQuad,
  sampleFromQuadCenter,
  sampleFromQuadOnce,
} from './nonuniform.js';
export type { PlannedCache } from './plan.js';
export {
  DdpmPolicy,
  fullCalls,
  helperIndices,
  LatentPolicy,
  paperSchedule,
  SettingsPolicy,
} from './policies.js';
export type {
  AdaptiveCall,
  CachePolicy,
  CallKind,
  CallPlan,
  ForecastCall,
  FullCall,
  Layout,
  PlacedCall,
  PolicyRun,
  PredictedCall,
  RetrieveCall,
} from './policy.js';
export { attachPrograms } from './programs.js';
export {
  CACHE_PRESETS,
  type CacheOptions,
  type CachePreset,
  type CacheSettings,
  type ListedCache,
  type NonuniformCache,
  type ResolvedCache,
  resolveCache,
  type UniformCache,
} from './settings.js';
