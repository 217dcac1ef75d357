/**
 * `deepcache/evaluate`: the laboratory. Compares cache settings, measures their quality, finds schedules, judges
 * pictures of the demo model and computes the paper's tables. `deepcache` itself loads none of it.
 */

export * from '../clip-score/index.js';
export * from '../compare/index.js';
export * from '../fid/index.js';
export * from '../judge/index.js';
export * from '../laboratory/index.js';
export * from '../metrics/index.js';
export * from '../quality/index.js';
export * from '../reproduce/index.js';
export * from '../tune/index.js';
