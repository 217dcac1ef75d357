import { readFileSync } from 'node:fs';
import type { RedisOptions } from 'ioredis';
import { invalidArgument, messageOf } from '../../errors.js';
import { show } from '../../messages.js';

/** Where the queue is. */
export interface QueueAddress {
  /**
   * Of Redis or Valkey: `redis://[USER:PASSWORD@]HOST[:PORT][/DB]`, with TLS `rediss://…`. Where Sentinels tell which server is the
   * master: `redis+sentinel://[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]…]/NAME[/DB]`, with TLS for both `rediss+sentinel://…`; user and
   * password are those of the servers. By a socket of this machine: `redis+unix://[USER:PASSWORD@]/PATH`.
   */
  readonly url: string;
  /** What the names of all keys begin with. Default `{deepcache}`: with braces all of them are in one slot of a cluster. */
  readonly prefix?: string | undefined;
  /** A file with the certificates of those who vouch for the server of `rediss://`. Default: those of Node.js. */
  readonly caFile?: string | undefined;
}

/** An address that was checked. */
export interface Place {
  /** What reaches it. */
  readonly server: Omit<RedisOptions, 'replyMapping'>;
  readonly prefix: string;
  /** For people: without the password. */
  readonly shown: string;
}

/** @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT naming the option, and never quoting the address: it may hold a password. */
export function resolveAddress({ url, prefix = '{deepcache}', caFile }: QueueAddress): Place {
  const socket = typeof url === 'string' ? socketOf(url) : undefined;
  const parsed = typeof url === 'string' && !socket ? partsOf(url) : undefined;
  if (!parsed && !socket) throw invalidArgument('queue', 'must be an address such as redis://localhost:6379');
  if (parsed && parsed.rest !== '')
    throw invalidArgument('queue', 'must end with the port, or the number of a database');
  if (typeof prefix !== 'string' || !/^[\w{}.-]{1,60}$/.test(prefix))
    throw invalidArgument('queuePrefix', `must be 1 to 60 letters, digits and {}_.-, got ${show(prefix)}`);
  let ca: string | undefined;
  try {
    ca = caFile === undefined ? undefined : readFileSync(caFile, 'utf8');
  } catch (error) {
    throw invalidArgument('queueCa', `cannot be read: ${messageOf(error)}`);
  }
  if (!parsed) return { ...(socket as NonNullable<typeof socket>), prefix };
  const { isTls, isSentinel, user, password, hosts, master, db } = parsed;
  const tls = ca === undefined ? {} : { ca };
  const account = { ...(user !== '' && { username: user }), ...(password !== undefined && { password }), db };
  const places = hosts.map(({ host, port }) => ({ host, port: port ?? (isSentinel ? 26_379 : 6379) }));
  const shown = hosts.map(({ text }) => text).join(',');
  const end = `${master === undefined ? '' : `/${master}`}${parsed.hasDb ? `/${db}` : ''}`;
  return {
    server: {
      ...account,
      ...(isSentinel ? { sentinels: places, name: master as string } : places[0]),
      ...(isTls && { tls, ...(isSentinel && { sentinelTLS: tls, enableTLSForSentinelMode: true }) }),
    },
    prefix,
    shown: `${parsed.scheme}://${shown}${end}`,
  };
}

/** The parts of the address of a socket of this machine; undefined for what is none. */
function socketOf(text: string): Omit<Place, 'prefix'> | undefined {
  const [, account, path] = /^redis\+unix:\/\/(?:([^@/?#]*)@)?(\/[^\0]+)$/i.exec(text) ?? [];
  const { user, password } = accountOf(account) ?? {};
  if (path === undefined || user === undefined) return undefined;
  const server = {
    path,
    ...(user !== '' && { username: user }),
    ...(password !== undefined && { password }),
  };
  return { server, shown: `redis+unix://${path}` };
}

/** User and password in front of an `@`; undefined where they are not percent-encoded. */
function accountOf(text = ''): { user: string; password: string | undefined } | undefined {
  const [, user = '', password] = /^([^:]*)(?::(.*))?$/s.exec(text) ?? [];
  try {
    return {
      user: decodeURIComponent(user),
      password: password === undefined ? undefined : decodeURIComponent(password),
    };
  } catch {
    return undefined;
  }
}

const HOST = /^(\[[\da-f:.]+\]|[^\s:/?#@[\],]+)(?::(\d{1,5}))?$/i;

/** The parts of an address, and what is left behind them; undefined for what is none. */
function partsOf(text: string) {
  const found = /^(rediss?)(\+sentinel)?:\/\/(?:([^@/?#]*)@)?([^@/?#]+)(.*)$/is.exec(text);
  if (!found) return undefined;
  const [, tls = '', sentinel, account, places = '', path = ''] = found;
  const isSentinel = sentinel !== undefined;
  const hosts = places.split(',').map((place) => {
    const [, host, port] = HOST.exec(place) ?? [];
    return host !== undefined && Number(port ?? 1) <= 65_535 && Number(port ?? 1) >= 1
      ? {
          text: place,
          host: host.replace(/^\[|\]$/g, ''),
          port: port === undefined ? undefined : Number(port),
        }
      : undefined;
  });
  if (!isSentinel && hosts.length > 1) return undefined;
  const own = accountOf(account);
  const shape = isSentinel ? /^\/([\w.-]{1,100})(?:\/(\d{0,5}))?$/ : /^()(?:\/(\d{0,5}))?$/;
  const [whole, master, db] = shape.exec(path) ?? [];
  const known = hosts.filter((one) => one !== undefined);
  if (!own || known.length < hosts.length || (isSentinel && whole === undefined)) return undefined;
  return {
    ...{
      scheme: `${tls}${sentinel ?? ''}`.toLowerCase(),
      isTls: tls.toLowerCase() === 'rediss',
      isSentinel,
      hosts: known,
    },
    ...own,
    ...{
      master: isSentinel ? master : undefined,
      db: Number(db || 0),
      hasDb: db !== undefined && db !== '',
    },
    rest: whole === undefined ? path : '',
  };
}
