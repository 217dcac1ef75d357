/**
 * `deepcache/ai`: pipelines as image models of the Vercel AI SDK. It needs nothing of that package; `deepcache` itself loads
 * none of it.
 */

export * from '../ai/image-model.js';
export type * from '../ai/types.js';
