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
export { attachPrograms } from './programs.js';
export {
  CACHE_PRESETS,
  type CacheOptions,
  type CachePreset,
  type CacheSettings,
  ddpmFullCalls,
  fullCalls,
  helperIndices,
  type ListedCache,
  latentFullCalls,
  type NonuniformCache,
  paperSchedule,
  type ResolvedCache,
  resolveCache,
  type UniformCache,
} from './schedule.js';
