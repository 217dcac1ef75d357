import type { Command } from 'commander';
import { invalidArgument, messageOf } from '../errors.js';
import { resolveAddress } from '../server/queue/address.js';
import type { QueueAddress } from '../server/queue/index.js';

/** The environment variable with a queue's address: it may hold a password, and command lines are seen by others. */
export const QUEUE_URL = 'DEEPCACHE_QUEUE';

/** Where a queue is, and where its pictures are. */
export interface QueueFlags {
  queue?: string;
  queuePrefix?: string;
  queueCa?: string;
  results?: string;
}

/** Adds the flags of a queue to a command. */
export function addQueueFlags(command: Command): Command {
  return command
    .option(
      '--queue <url>',
      `Redis or Valkey, where servers and workers meet: redis://HOST:PORT; or give it in ${QUEUE_URL}, unseen by others`,
    )
    .option('--queue-prefix <text>', 'what the names of its keys begin with (default: {deepcache})')
    .option('--queue-ca <file>', 'certificates of those who vouch for a server of rediss://')
    .option(
      '--results <place>',
      'where pictures are, for all servers and workers: a folder, or s3://BUCKET/PREFIX (default: in Redis)',
    );
}

/**
 * The queue that flags or the environment name; undefined: none.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT naming the one that is wrong.
 */
export function queueOf(flags: QueueFlags): (QueueAddress & { results?: string }) | undefined {
  const url = flags.queue ?? process.env[QUEUE_URL];
  if (url === undefined || url === '') return undefined;
  const { queuePrefix: prefix, queueCa: caFile, results } = flags;
  const queue = {
    url,
    ...(prefix !== undefined && { prefix }),
    ...(caFile !== undefined && { caFile }),
    ...(results !== undefined && { results }),
  };
  try {
    resolveAddress(queue);
  } catch (error) {
    const [, what] = /^queue (.*)$/s.exec(messageOf(error)) ?? [];
    if (flags.queue === undefined && what !== undefined) throw invalidArgument(QUEUE_URL, what);
    throw error;
  }
  return queue;
}
