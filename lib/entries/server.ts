/**
 * `deepcache/server`: pictures for many people. An engine that shares the passes of a model's U-Net among their jobs, and
 * a server in front of it; a queue for many machines. `deepcache` itself loads none of it.
 */

export * from '../server/engine/index.js';
export * from '../server/http/index.js';
export * from '../server/queue/index.js';
