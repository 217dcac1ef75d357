import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { ImageEngine } from '../../../lib/server/engine/index.js';
import { ImageServer, type ServerOptions } from '../../../lib/server/http/index.js';
import {
  JobQueue,
  type JobQueueOptions,
  QueueWorker,
  type QueueWorkerOptions,
} from '../../../lib/server/queue/index.js';
import { FOLDER } from '../../pipelines/tiny.js';

/** A server in front of a queue. */
export interface Front {
  readonly base: string;
  readonly server: ImageServer;
  readonly log: string[];
}

const ends: (() => Promise<unknown>)[] = [];

/** A server on a free port of the loopback, in this process. */
export async function front(
  url: string,
  options: ServerOptions = {},
  queue: Partial<JobQueueOptions> = {},
): Promise<Front> {
  const log: string[] = [];
  const source = await JobQueue.connect({ url, log: (line) => void log.push(line), ...queue });
  const server = await ImageServer.create(source, {
    ...{ closeSeconds: 0, writeLog: (line: string) => void log.push(line), requestsPerMinute: 100_000 },
    ...options,
  });
  let closing: Promise<void> | undefined;
  const close = server.close.bind(server);
  server.close = () => {
    closing ??= close();
    return closing;
  };
  ends.push(() => server.close());
  return { base: await server.listen(), server, log };
}

/** A worker in this process, with the tiny model as `tiny`. */
export async function worker(url: string, options: Partial<QueueWorkerOptions> = {}): Promise<QueueWorker> {
  const { places = 8 } = options;
  const engine = new ImageEngine({
    models: { tiny: { model: FOLDER, device: 'cpu', threads: 1 } },
    ...{ maxRunning: Math.min(48, places), log: () => {} },
  });
  const made = await QueueWorker.start(engine, { url, places, log: () => {}, ...options });
  let closing: Promise<void> | undefined;
  const close = made.close.bind(made);
  made.close = (how) => {
    closing ??= close(how);
    return closing;
  };
  ends.push(async () => {
    await made.close({ seconds: 0 });
    await engine.close();
  });
  return made;
}

/** A worker in a process of its own: `deepcache worker`. */
export interface WorkerProcess {
  readonly process: ChildProcess;
  /** What it said so far. */
  said(): string;
  /** Resolves with its exit code, null where a signal ended it. */
  readonly ended: Promise<number | null>;
}

export async function workerProcess(url: string, flags: readonly string[] = []): Promise<WorkerProcess> {
  const command = ['--import', 'tsx', 'lib/cli/main.ts', 'worker', '--model', `tiny=${FOLDER}`];
  const child = spawn(
    process.execPath,
    [...command, '--threads', '1', '--queue', url, ...flags],
    // Jest's own options are no business of the program.
    { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, NODE_OPTIONS: '' } },
  );
  let text = '';
  const ended = once(child, 'exit').then(([code]) => code as number | null);
  ends.push(async () => {
    if (child.exitCode === null) child.kill('SIGKILL');
    await ended;
  });
  await new Promise<void>((resolve, reject) => {
    child.stderr.on('data', (data) => {
      text += String(data);
      if (text.includes('works for')) resolve();
    });
    void ended.then(() => reject(new Error(`the worker ended: ${text}`)));
  });
  return { process: child, said: () => text, ended };
}

/** Ends all servers and workers of a test, servers first. */
export async function endAll(): Promise<void> {
  for (const end of ends.splice(0)) await end();
}
