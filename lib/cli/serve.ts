import { Command, InvalidArgumentError } from 'commander';
import { aborted } from '../aborting.js';
import { invalidArgument, messageOf } from '../errors.js';
import { LIMITS, readSmallFile } from '../files/read.js';
import type { ApiKey, Engine, LogLevel, ServerOptions, SharedQueue } from '../server/http/index.js';
import { collect, toCount, toWhole } from './arguments.js';
import type { CliContext } from './context.js';
import { valuesByName } from './flags.js';
import { addQueueFlags, type QueueFlags, queueOf } from './queue-flags.js';
import { EXIT_CODES_HELP } from './run.js';
import {
  addServedModelFlags,
  lookAtModels,
  SERVED_MODEL_FLAGS,
  type ServedModelFlags,
  servedModels,
} from './served-models.js';
import { addNetworkFlags, type NetworkFlags, servedNetworks } from './served-networks.js';

interface Flags extends ServedModelFlags, NetworkFlags, QueueFlags {
  host: string;
  port: number;
  keys?: string;
  makeKey?: string;
  tlsKey?: string;
  tlsCert?: string;
  cors?: string[];
  hostname?: string[];
  publicUrl?: string;
  trustProxy?: boolean;
  webhookHost?: string[];
  webhooks: boolean;
  logLevel: LogLevel;
  logPrompts?: boolean;
  page: boolean;
  maxQueued?: number;
  maxRunning?: number;
  maxPixels?: number;
  maxSteps?: number;
  maxImages?: number;
  limits?: Record<string, number>;
  requestsPerMinute?: number;
  keepSeconds?: number;
}

/** What models are loaded with, which is the business of those who load them. */
const OF_WORKERS = [
  ...SERVED_MODEL_FLAGS,
  ...(['maxRunning', 'lora', 'controlNet', 't2iAdapter', 'ipAdapter', 'imageEncoder'] as const),
  ...(['upscaler', 'embedding'] as const),
];

/** Those of a server's limits that have no flag of their own. */
const OTHER_LIMITS = ['prompt', 'body', 'inputPixels', 'pendingBytes', 'connections', 'seconds'];

/** The environment variable with what signs webhooks: command lines are seen by others. */
const WEBHOOK_SECRET = 'DEEPCACHE_WEBHOOK_SECRET';

/** `deepcache serve`: pictures over HTTP. */
export function serveCommand(context: CliContext): Command {
  const command = new Command('serve').description(
    "Serve pictures over HTTP: the server's own jobs, OpenAI's Images and the web UI's API (docs/serving.md). " +
      'Jobs of many callers share the passes of a model.',
  );
  addServedModelFlags(command, true)
    .optionsGroup('How much:')
    .option('--max-queued <n>', 'jobs that may wait (default: 256)', toCount)
    .option('--max-running <n>', 'jobs that are under way at once on a device (default: 16)', toCount)
    .option('--max-pixels <n>', 'pixels of a picture (default: 4194304)', toCount)
    .option('--max-steps <n>', 'steps of a run (default: 150)', toCount)
    .option('--max-images <n>', 'pictures of a request (default: 8)', toCount)
    .option('--limits <name=n,...>', `other limits (docs/serving.md): ${OTHER_LIMITS.join(', ')}`, toLimits)
    .option('--requests-per-minute <n>', 'of a key or else of an address (default: 600)', toCount)
    .option('--keep-seconds <n>', 'that finished jobs and their pictures are kept (default: 600)', toWhole);
  addNetworkFlags(command);
  return addQueueFlags(command.optionsGroup('On many machines (docs/serving.md):'))
    .optionsGroup('Where, and for whom:')
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .option('-p, --port <n>', 'port to listen on', toPort, 7860)
    .option('--keys <file>', 'a JSON file with the keys of those who may use it (default: everybody may)')
    .option('--make-key <name>', 'print a new key and its entry for that file, and end')
    .option('--tls-key <file>', 'serve HTTPS: the private key, in PEM')
    .option('--tls-cert <file>', 'and its certificates')
    .option('--cors <origin>', 'an origin whose pages may call it; repeat it for several', collect)
    .option('--hostname <name>', 'a name by which browsers may know it without keys', collect)
    .option('--public-url <url>', 'the address by which callers know it')
    .option('--trust-proxy', 'believe what a proxy in front says of callers')
    .option(
      '--webhook-host <host>',
      `a host that webhooks may go to, wherever it is; repeat it for several (default: any of the public ` +
        `internet); ${WEBHOOK_SECRET} signs them`,
      collect,
    )
    .option('--no-webhooks', 'take no webhooks')
    .option('--no-page', 'serve no page, only the APIs')
    .option('--log-level <level>', 'silent, error, warn, info or debug', toLevel, 'info')
    .option('--log-prompts', 'log prompts, too')
    .addHelpText('after', EXIT_CODES_HELP)
    .action((flags: Flags) => serve(flags, context));
}

async function serve(flags: Flags, context: CliContext): Promise<void> {
  // Fastify and what goes with it is loaded for this command alone.
  const { ImageServer, makeApiKey } = await import('../entries/server.js');
  if (flags.makeKey !== undefined) {
    const { key, entry } = makeApiKey(flags.makeKey);
    context.out(`key (give it to its user; it is not kept): ${key}\nentry: ${JSON.stringify(entry)}\n`);
    return;
  }
  const options = await serverOptions(flags, context);
  const source = await sourceOf(flags, context);
  const server = await ImageServer.create(source, options).catch(async (error) => {
    // Its connections would keep the process.
    await source.close({ finish: false });
    throw error;
  });
  const stopped = aborted(context.signal);
  const address = await server.listen({ host: flags.host, port: flags.port }).catch(async (error) => {
    await server.close();
    throw notListening(error, flags);
  });
  const names = source.models().map(({ name }) => name);
  context.err(`deepcache: ${names.join(', ') || 'no models yet'} at ${address}\n`);
  if (!server.needsKeys && !['127.0.0.1', '::1', 'localhost'].includes(flags.host))
    context.err('deepcache: without --keys everybody who reaches this address may use it\n');
  await stopped;
  context.err('deepcache: finishing what was begun\n');
  await server.close();
}

/** Why it does not listen, in the words of its flags. */
function notListening(error: NodeJS.ErrnoException, { host, port }: Flags): unknown {
  if (error.code === 'EADDRINUSE') return invalidArgument('port', `${port} is taken: ${error.message}`);
  if (error.code === 'EACCES') return invalidArgument('port', `${port} cannot be used: ${error.message}`);
  if (error.code === 'ENOTFOUND' || error.code === 'EADDRNOTAVAIL')
    return invalidArgument('host', `${host} is no address of this machine: ${error.message}`);
  return error;
}

/** What makes the pictures: an engine of this process, or a queue for others. */
async function sourceOf(flags: Flags, context: CliContext): Promise<Engine | SharedQueue> {
  const { ImageEngine, JobQueue } = await import('../entries/server.js');
  const { maxQueued, maxRunning } = flags;
  const log = (message: string) => context.err(`deepcache: ${message}\n`);
  const queue = queueOf(flags);
  if (queue) {
    for (const name of OF_WORKERS)
      if (flags[name] !== undefined)
        throw invalidArgument(name, 'is for deepcache worker where there is a queue');
    return JobQueue.connect({ ...queue, log, ...(maxQueued !== undefined && { maxQueued }) });
  }
  if (flags.results !== undefined) throw invalidArgument('results', 'needs --queue');
  const served = await servedModels(flags);
  const engine = new ImageEngine({
    ...{ ...served, networks: await servedNetworks(flags, context.signal), log },
    ...(maxQueued !== undefined && { maxQueued }),
    ...(maxRunning !== undefined && { maxRunning }),
  });
  await lookAtModels(served.models, (name) => engine.card(name));
  await engine.lookAtNetworks();
  return engine;
}

/** What the flags say about the server; the log goes to standard output. */
async function serverOptions(flags: Flags, context: CliContext): Promise<ServerOptions> {
  const { maxPixels: pixels, maxSteps: steps, maxImages: images, publicUrl, tlsKey, tlsCert } = flags;
  const { requestsPerMinute, keepSeconds } = flags;
  const own = Object.entries({ pixels, steps, images }).filter(([, value]) => value !== undefined);
  const limits = { ...flags.limits, ...Object.fromEntries(own) };
  if ((tlsKey === undefined) !== (tlsCert === undefined))
    throw invalidArgument(tlsKey === undefined ? 'tlsKey' : 'tlsCert', 'is missing: HTTPS needs both');
  const secret = process.env[WEBHOOK_SECRET];
  return {
    limits,
    log: flags.logLevel,
    writeLog: (line) => context.out(line),
    logPrompts: flags.logPrompts ?? false,
    page: flags.page,
    cors: flags.cors ?? [],
    hosts: flags.hostname ?? [],
    trustProxy: flags.trustProxy ?? false,
    webhooks: flags.webhooks && {
      ...(secret && { secret }),
      ...(flags.webhookHost && { hosts: flags.webhookHost }),
    },
    ...(publicUrl !== undefined && { publicUrl }),
    ...(requestsPerMinute !== undefined && { requestsPerMinute }),
    ...(keepSeconds !== undefined && { keepSeconds }),
    ...(flags.keys !== undefined && { keys: await readKeys(flags.keys) }),
    ...(tlsKey !== undefined &&
      tlsCert !== undefined && {
        tls: { key: await readFile('tlsKey', tlsKey), cert: await readFile('tlsCert', tlsCert) },
      }),
  };
}

async function readKeys(file: string): Promise<ApiKey[]> {
  const text = (await readFile('keys', file)).toString('utf8');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalidArgument('keys', `${file} is not JSON: ${messageOf(error)}`);
  }
  if (!Array.isArray(value)) throw invalidArgument('keys', `${file} must hold a list of keys`);
  // None would mean that everybody may.
  if (value.length === 0) throw invalidArgument('keys', `${file} holds no keys`);
  return value as ApiKey[];
}

async function readFile(option: string, path: string): Promise<Buffer> {
  try {
    return await readSmallFile(path, LIMITS.config);
  } catch (error) {
    throw invalidArgument(option, `cannot be read: ${messageOf(error)}`);
  }
}

function toPort(text: string): number {
  const port = toWhole(text);
  if (port < 0 || port > 65535) throw new InvalidArgumentError('It must be from 0 to 65535.');
  return port;
}

/** Numbers by name. */
function toLimits(text: string): Record<string, number> {
  const limits = valuesByName(text, toCount);
  if (
    !Object.entries(limits).every(
      ([name, value]) => OTHER_LIMITS.includes(name) && value !== true && value !== false,
    )
  )
    throw new InvalidArgumentError(`It must be names with numbers, of ${OTHER_LIMITS.join(', ')}.`);
  return limits as Record<string, number>;
}

function toLevel(text: string): LogLevel {
  const levels: readonly string[] = ['silent', 'error', 'warn', 'info', 'debug'];
  if (!levels.includes(text)) throw new InvalidArgumentError(`Allowed choices are ${levels.join(', ')}.`);
  return text as LogLevel;
}
