export { FeatureSet } from './feature-set.js';
export { Fid, type FidOptions, type PrepareOptions } from './fid.js';
export { type FrechetOptions, frechetDistance } from './frechet.js';
export { type InceptionOptions, InceptionV3 } from './inception.js';
export type { FidMeasure } from './rows.js';
export type { FeatureStatistics } from './statistics.js';
export { readStatistics, writeStatistics } from './statistics-file.js';
