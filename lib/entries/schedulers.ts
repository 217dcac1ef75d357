/**
 * `deepcache/schedulers`: what a run is compiled from. Schedulers, the schedules and branches of the cache, the step
 * table that native code executes, and an interpreter of it in plain JavaScript.
 */

export * from '../deepcache/index.js';
export * from '../schedulers/index.js';
