/** Pictures over HTTP: see {@link ImageServer}. */

export type { Engine, Load, ServedModel, SharedQueue, Source } from './engine.js';
export { type ApiKey, makeApiKey } from './keys.js';
export type { Limits } from './limits.js';
export type { LogLevel, ServerOptions } from './options.js';
export { ImageServer } from './server.js';
export type { WebhookOptions } from './webhooks.js';
