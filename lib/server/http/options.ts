import { createSecureContext } from 'node:tls';
import { invalidArgument, messageOf } from '../../errors.js';
import { show } from '../../messages.js';
import { checkNames } from '../../names.js';
import { seconds, whole } from '../../options/checks.js';
import { type ApiKey, KeyRing } from './keys.js';
import { type Limits, resolveLimits } from './limits.js';
import type { WebhookOptions } from './webhooks.js';

/** How much is logged. */
export type LogLevel = 'silent' | 'error' | 'warn' | 'info' | 'debug';
const LEVELS: readonly LogLevel[] = ['silent', 'error', 'warn', 'info', 'debug'];

/** How a server of pictures behaves. */
export interface ServerOptions {
  /** Who may use it. None: everybody who reaches it. */
  keys?: readonly ApiKey[];
  /** The most that a request may ask for, where it differs from the defaults. */
  limits?: Partial<Limits>;
  /** Requests in a minute, of a key or else of an address. Default 600. */
  requestsPerMinute?: number;
  /** TLS: the texts or bytes of a private key and its certificates, in PEM. Default: plain HTTP. */
  tls?: { key: string | Uint8Array; cert: string | Uint8Array };
  /** Origins whose pages may call it, such as `'https://app.example.com'`. Default: its own page only. */
  cors?: readonly string[];
  /** Names, besides `localhost` and addresses, by which browsers may know a server without keys. */
  hosts?: readonly string[];
  /**
   * The address by which callers know the server, such as `'https://app.example.com/pictures'`: what addresses of
   * pictures begin with. Its own page may be there, too. Default: what the caller used.
   */
  publicUrl?: string;
  /** Whether a proxy in front says who calls, in `X-Forwarded-For` and its like. Default false. */
  trustProxy?: boolean;
  /** How much is logged, as lines of JSON; a function takes the lines. Default 'info'. */
  log?: LogLevel;
  /** Takes the lines of the log. Default: standard output. */
  writeLog?: (line: string) => void;
  /** Whether logs hold prompts. Default false. */
  logPrompts?: boolean;
  /** How callers' servers are told of finished jobs; false: not at all. */
  webhooks?: WebhookOptions | false;
  /** Whether it has a page on which people make pictures, at `/`. Default true. */
  page?: boolean;
  /** Seconds that a finished job and its pictures are kept. Default 600. */
  keepSeconds?: number;
  /** Bytes of pictures of finished jobs, 3 for a pixel; the oldest are forgotten first. Default 512 MiB. */
  keepBytes?: number;
  /** Seconds after which a job is cancelled when the last stream of its events has ended. Default 5. */
  reconnectSeconds?: number;
  /** Seconds after which a job is cancelled that nobody has asked for. Default 60. */
  pollSeconds?: number;
  /** Seconds that `close` waits for jobs to finish. Default 30. */
  closeSeconds?: number;
}

const NAMES = [
  ...[
    'keys',
    'limits',
    'requestsPerMinute',
    'tls',
    'cors',
    'hosts',
    'publicUrl',
    'trustProxy',
    'log',
    'writeLog',
  ],
  ...['logPrompts', 'page', 'webhooks', 'keepSeconds', 'keepBytes', 'reconnectSeconds', 'pollSeconds'],
  ...['closeSeconds'],
];

/** Options that were checked, with their defaults. */
export interface Settings {
  readonly ring: KeyRing;
  readonly limits: Limits;
  readonly tls: ServerOptions['tls'];
  readonly cors: readonly string[];
  readonly hosts: readonly string[];
  readonly publicUrl: string | undefined;
  readonly trustProxy: boolean;
  readonly log: LogLevel;
  readonly writeLog: ((line: string) => void) | undefined;
  readonly logPrompts: boolean;
  readonly page: boolean;
  readonly webhooks: WebhookOptions | false;
  readonly keep: { readonly seconds: number; readonly bytes: number };
  readonly patience: { readonly reconnect: number; readonly poll: number };
  readonly closeSeconds: number;
}

/** @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT naming the option. */
export function resolveOptions(given: ServerOptions): Settings {
  if (typeof given !== 'object' || given === null)
    throw invalidArgument('options', `must be an object, got ${show(given)}`);
  checkNames(given, NAMES);
  const limits = resolveLimits(given.limits);
  const wait = (name: keyof ServerOptions, fallback: number) => seconds(name, given[name], fallback);
  const { keys = [], cors = [], hosts = [], log = 'info', webhooks = {} } = given;
  if (!LEVELS.includes(log))
    throw invalidArgument('log', `must be one of ${LEVELS.join(', ')}, got ${show(log)}`);
  const list = (name: string, value: unknown) => {
    if (!Array.isArray(value) || !value.every((one) => typeof one === 'string'))
      throw invalidArgument(name, `must be a list of texts, got ${show(value)}`);
  };
  list('cors', cors);
  list('hosts', hosts);
  if (webhooks !== false) checkNames(webhooks, ['secret', 'hosts'], 'webhooks.');
  if (!Array.isArray(keys)) throw invalidArgument('keys', `must be a list, got ${show(keys)}`);
  const perMinute = whole('requestsPerMinute', given.requestsPerMinute, 600, 1, 1_000_000);
  return {
    ...{ limits, cors, hosts, log, webhooks },
    ring: new KeyRing(keys, limits, perMinute),
    tls: tlsOf(given.tls),
    publicUrl: addressOf(given.publicUrl),
    trustProxy: given.trustProxy ?? false,
    writeLog: given.writeLog,
    logPrompts: given.logPrompts ?? false,
    page: given.page ?? true,
    keep: {
      seconds: wait('keepSeconds', 600),
      bytes: whole('keepBytes', given.keepBytes, 512 * 2 ** 20, 0, 2 ** 40),
    },
    patience: { reconnect: wait('reconnectSeconds', 5), poll: wait('pollSeconds', 60) },
    closeSeconds: wait('closeSeconds', 30),
  };
}

/** What a server of HTTPS would throw when it is made, with the name of what is wrong. */
function tlsOf(given: ServerOptions['tls']): ServerOptions['tls'] {
  if (given === undefined) return undefined;
  if (typeof given !== 'object' || given === null)
    throw invalidArgument('tls', `must be an object, got ${show(given)}`);
  checkNames(given, ['key', 'cert'], 'tls.');
  const [key, cert] = [given.key, given.cert].map((one) =>
    typeof one === 'string' ? one : Buffer.from(one ?? ''),
  );
  for (const [name, parts] of [
    ['tls.key', { key }],
    ['tls.cert', { cert }],
    ['tls', { key, cert }],
  ] as const) {
    try {
      createSecureContext(parts);
    } catch (error) {
      throw invalidArgument(name, `cannot be used: ${messageOf(error)}`, { cause: error });
    }
  }
  return given;
}

function addressOf(publicUrl: string | undefined): string | undefined {
  if (publicUrl === undefined) return undefined;
  if (!/^https?:\/\/[^?#]*$/.test(publicUrl) || !URL.canParse(publicUrl))
    throw invalidArgument(
      'publicUrl',
      `must be an http or https address without ? and #, got ${show(publicUrl)}`,
    );
  return publicUrl.replace(/\/+$/, '');
}
