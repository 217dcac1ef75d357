/** Jobs on many machines: see {@link JobQueue} and {@link QueueWorker}. */

export type { QueueAddress } from './address.js';
export { JobQueue, type JobQueueOptions } from './front.js';
export { QueueWorker, type QueueWorkerOptions } from './worker.js';
