import { readFileSync } from 'node:fs';
import { invalidArgument, messageOf } from '../../errors.js';
import { show } from '../../messages.js';

/** Where the queue is. */
export interface QueueAddress {
  /** Of Redis or Valkey: `redis://[USER:PASSWORD@]HOST[:PORT][/DB]`, with TLS `rediss://…`. */
  readonly url: string;
  /** What the names of all keys begin with. Default `{deepcache}`: with braces all of them are in one slot of a cluster. */
  readonly prefix?: string | undefined;
  /** A file with the certificates of those who vouch for the server of `rediss://`. Default: those of Node.js. */
  readonly caFile?: string | undefined;
}

/** An address that was checked. */
export interface Place {
  readonly url: string;
  readonly prefix: string;
  readonly ca: string | undefined;
  /** For people: without the password. */
  readonly shown: string;
}

/** @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT naming the option, and never quoting the address: it may hold a password. */
export function resolveAddress({ url, prefix = '{deepcache}', caFile }: QueueAddress): Place {
  const parsed = typeof url === 'string' && URL.canParse(url) ? new URL(url) : undefined;
  if (!parsed || !/^rediss?:$/.test(parsed.protocol) || parsed.hostname === '')
    throw invalidArgument('queue', 'must be an address such as redis://localhost:6379');
  if (parsed.search !== '' || parsed.hash !== '' || !/^(\/\d{0,5})?$/.test(parsed.pathname))
    throw invalidArgument('queue', 'must end with the port, or the number of a database');
  if (typeof prefix !== 'string' || !/^[\w{}.-]{1,60}$/.test(prefix))
    throw invalidArgument('queuePrefix', `must be 1 to 60 letters, digits and {}_.-, got ${show(prefix)}`);
  let ca: string | undefined;
  try {
    ca = caFile === undefined ? undefined : readFileSync(caFile, 'utf8');
  } catch (error) {
    throw invalidArgument('queueCa', `cannot be read: ${messageOf(error)}`);
  }
  return { url, prefix, ca, shown: `${parsed.protocol}//${parsed.host}${parsed.pathname}` };
}
