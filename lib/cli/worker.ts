import { Command } from 'commander';
import { aborted } from '../aborting.js';
import { invalidArgument } from '../errors.js';
import { seconds } from '../options/checks.js';
import { toCount, toWhole } from './arguments.js';
import type { CliContext } from './context.js';
import { addQueueFlags, QUEUE_URL, type QueueFlags, queueOf } from './queue-flags.js';
import { EXIT_CODES_HELP } from './run.js';
import { addServedModelFlags, lookAtModels, type ServedModelFlags, servedModels } from './served-models.js';
import { addNetworkFlags, type NetworkFlags, servedNetworks } from './served-networks.js';

interface Flags extends ServedModelFlags, NetworkFlags, QueueFlags {
  maxRunning?: number;
  maxAttempts?: number;
  lockSeconds?: number;
  finishSeconds?: number;
}

/** `deepcache worker`: makes the pictures of a queue. */
export function workerCommand(context: CliContext): Command {
  const command = new Command('worker').description(
    'Make the pictures of jobs that wait in a queue, for servers on this and other machines (docs/serving.md). Jobs ' +
      'share the passes of a model as in serve. Needs the packages bullmq and ioredis.',
  );
  addQueueFlags(command)
    .option('--max-running <n>', 'jobs that it has at once on a device (default: 16)', toCount)
    .option('--max-attempts <n>', 'how often a job may be begun when workers die of it (default: 3)', toCount)
    .option(
      '--lock-seconds <n>',
      'without a sign of life after which others take its jobs (default: 30)',
      toCount,
    )
    .option(
      '--finish-seconds <n>',
      'for jobs that run when it is asked to end; then it gives them back (default: 30)',
      toWhole,
    );
  addServedModelFlags(command, true);
  return addNetworkFlags(command)
    .addHelpText('after', EXIT_CODES_HELP)
    .action((flags: Flags) => work(flags, context));
}

async function work(flags: Flags, context: CliContext): Promise<void> {
  const queue = queueOf(flags);
  if (!queue)
    throw invalidArgument('queue', `is missing: give --queue redis://HOST:PORT, or set ${QUEUE_URL}`);
  const { maxRunning, maxAttempts, lockSeconds } = flags;
  const finishSeconds = seconds('finishSeconds', flags.finishSeconds, 30);
  const { ImageEngine, QueueWorker } = await import('../entries/server.js');
  const served = await servedModels(flags);
  const log = (message: string) => context.err(`deepcache: ${message}\n`);
  const engine = new ImageEngine({
    ...{ ...served, networks: await servedNetworks(flags, context.signal), log },
    ...(maxRunning !== undefined && { maxRunning }),
  });
  try {
    await lookAtModels(served.models, (name) => engine.card(name));
    await engine.lookAtNetworks();
    const stopped = aborted(context.signal);
    const worker = await QueueWorker.start(engine, {
      ...{ ...queue, log },
      ...(maxAttempts !== undefined && { maxAttempts }),
      ...(lockSeconds !== undefined && { lockSeconds }),
    });
    context.err(`deepcache: works for ${Object.keys(served.models).join(', ')}\n`);
    await stopped;
    context.err('deepcache: finishing what was begun\n');
    await worker.close({ seconds: finishSeconds });
  } finally {
    await engine.close();
  }
}
