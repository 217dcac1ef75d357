export {
  type BranchLayout,
  branchCount,
  branchFromDdpm,
  branchFromLdm,
  branchFromPaperCode,
  branchFromPaperText,
  branchFromSvd,
  validateBranch,
} from './branches.js';
export { type NonuniformList, sampleFromQuad, sampleFromQuadCenter } from './nonuniform.js';
export { attachPrograms } from './programs.js';
export {
  CACHE_PRESETS,
  type CacheOptions,
  type CachePreset,
  type CacheSettings,
  fullCalls,
  helperIndices,
  paperSchedule,
  type ResolvedCache,
  resolveCache,
} from './schedule.js';
