import { createHmac } from 'node:crypto';
import { lookup as resolve } from 'node:dns';
import { type RequestOptions, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { invalidArgument, messageOf } from '../../errors.js';
import { isPublicAddress } from './public-address.js';

/** How webhooks are delivered. */
export interface WebhookOptions {
  /**
   * Signs them (Standard Webhooks: the header `webhook-signature`): `whsec_` and base64, or any text. Without it they are not
   * signed.
   */
  secret?: string;
  /**
   * Hosts that they may go to, wherever these are, also by http and to private networks: `'hooks.example.com'`,
   * `'10.0.0.7:8080'`. Default: any host of the public internet, by https on port 443.
   */
  hosts?: readonly string[];
}

/** Milliseconds that one try may take. */
const TIMEOUT = 10_000;
/** Milliseconds before another try. */
const PAUSES = [1000, 5000, 25_000];
/** Deliveries at the same time; further ones wait. */
const MOST_AT_ONCE = 16;
/** And so many may wait; more are dropped. */
const MOST_WAITING = 10_000;

/** Tells callers' servers of the end of their jobs. */
export class Webhooks {
  readonly #waiting: (() => Promise<void>)[] = [];
  readonly #stop = new AbortController();
  #active = 0;

  /**
   * @param options false: requests may not have any.
   * @param onFailure is told of those that could not be delivered.
   * @param pauses between tries, in milliseconds.
   */
  constructor(
    private readonly options: WebhookOptions | false,
    private readonly onFailure: (id: string, reason: string) => void,
    private readonly pauses: readonly number[] = PAUSES,
  ) {}

  /**
   * Looks at an address before a job is accepted.
   *
   * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for one that nothing would be sent to.
   */
  check(address: string): void {
    if (this.options === false) throw invalidArgument('webhook', 'is not offered by this server');
    const url = URL.canParse(address) ? new URL(address) : undefined;
    if (!url || !/^https?:$/.test(url.protocol)) throw invalidArgument('webhook', 'must be an https address');
    if (url.username || url.password) throw invalidArgument('webhook', 'must not hold a user or a password');
    const { hosts } = this.options;
    if (hosts) {
      if (!hosts.includes(url.host))
        throw invalidArgument('webhook', 'names a host that is not allowed here');
      return;
    }
    if (url.protocol !== 'https:' || url.port !== '')
      throw invalidArgument('webhook', 'must be an https address on the usual port');
    const host = hostOf(url);
    if (isIP(host) && !isPublicAddress(host))
      throw invalidArgument('webhook', 'names an address that is not of the public internet');
  }

  /** Sends what happened, in its turn; tries again when it fails. Resolves when it has arrived, or was given up. */
  async send(address: string, id: string, payload: object): Promise<void> {
    if (this.#stop.signal.aborted) return;
    if (this.#waiting.length >= MOST_WAITING) {
      this.onFailure(id, 'too many wait');
      return;
    }
    const body = JSON.stringify(payload);
    await new Promise<void>((done) => {
      this.#waiting.push(() => this.#deliver(new URL(address), id, body).finally(done));
      this.#next();
    });
  }

  /** Drops what waits, and ends what is being sent. */
  close(): void {
    this.#waiting.length = 0;
    this.#stop.abort();
  }

  #next(): void {
    if (this.#active >= MOST_AT_ONCE) return;
    const work = this.#waiting.shift();
    if (!work) return;
    this.#active++;
    void work().finally(() => {
      this.#active--;
      this.#next();
    });
  }

  async #deliver(url: URL, id: string, body: string): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      try {
        await this.#post(url, id, body);
        return;
      } catch (error) {
        const pause = this.pauses[attempt];
        if (pause === undefined || this.#stop.signal.aborted) {
          this.onFailure(id, messageOf(error));
          return;
        }
        await sleep(pause, undefined, { signal: this.#stop.signal, ref: false }).catch(() => {});
      }
    }
  }

  #post(url: URL, id: string, body: string): Promise<void> {
    const allowed = this.options !== false && this.options.hosts !== undefined;
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(TIMEOUT)]);
    const options: RequestOptions = {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...this.#signed(id, body) },
      signal,
      agent: false,
      // The name is looked up once, and what it says is what is connected to: a second answer cannot be another one.
      ...(!allowed && { lookup: publicLookup }),
    };
    const request = url.protocol === 'https:' ? requestHttps : requestHttp;
    return new Promise((done, failed) => {
      const sent = request(url, options, (response) => {
        const { statusCode = 0 } = response;
        // What it says besides is of no interest, and redirects are not followed.
        response.destroy();
        if (statusCode >= 200 && statusCode < 300) done();
        else failed(new Error(`the answer was ${statusCode}`));
      });
      sent.on('error', failed);
      sent.end(body);
    });
  }

  #signed(id: string, body: string): Record<string, string> {
    const time = String(Math.floor(Date.now() / 1000));
    const secret = this.options === false ? undefined : this.options.secret;
    const head = { 'webhook-id': id, 'webhook-timestamp': time };
    if (secret === undefined) return head;
    const signature = createHmac('sha256', keyOf(secret)).update(`${id}.${time}.${body}`).digest('base64');
    return { ...head, 'webhook-signature': `v1,${signature}` };
  }
}

/** Looks a name up, and knows no address that is not of the public internet. */
export const publicLookup: LookupFunction = (name, options, callback) => {
  resolve(name, { ...options, all: true }, (error, found) => {
    if (error) return callback(error, []);
    const addresses = found.filter(({ address }) => isPublicAddress(address));
    const [first] = addresses;
    if (!first || addresses.length < found.length)
      return callback(new Error(`${name} is not a host of the public internet`), []);
    if (options.all) return callback(null, addresses);
    callback(null, first.address, first.family);
  });
};

/** The bytes behind `whsec_`, in base64, as Standard Webhooks have it; any other secret is a text. */
function keyOf(secret: string): string | Buffer {
  return secret.startsWith('whsec_') ? Buffer.from(secret.slice(6), 'base64') : secret;
}

/** Without the brackets of IPv6. */
const hostOf = ({ hostname }: URL) => hostname.replace(/^\[|\]$/g, '');
