export {
  type BranchLayout,
  branchCount,
  branchFromDdpm,
  branchFromHelper,
  branchFromLdm,
  branchFromPaperCode,
  branchFromPaperText,
  branchFromSvd,
  validateBranch,
} from './branches.js';
export {
  type NonuniformList,
  sampleFromQuad,
  sampleFromQuadCenter,
  sampleFromQuadOnce,
} from './nonuniform.js';
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
  CallPlan,
  FullCall,
  Layout,
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
