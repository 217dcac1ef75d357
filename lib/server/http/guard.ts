import { isIP } from 'node:net';
import type { FastifyRequest } from 'fastify';
import { RequestError } from './errors.js';
import type { Settings } from './options.js';

// A page of anybody can make its reader's browser call a server that stands beside it, and a name of anybody can be made
// to stand for its address. Programs that are no browsers are not concerned.

/** The host of a request, without its port. */
function hostOf(host: string): string {
  return host.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
}

/**
 * A check that refuses requests of browsers for pages that are not the server's own, nor of an allowed origin.
 *
 * @param known `hosts`: names by which the server may be known, besides addresses and `localhost`. `cors`: origins that
 *   may call it. `publicUrl`: where its own page is, besides the address that the request came to.
 * It throws RequestError 403.
 */
export function originCheck(
  known: Pick<Settings, 'hosts' | 'cors' | 'publicUrl'>,
): (request: FastifyRequest) => void {
  const own = known.publicUrl === undefined ? undefined : new URL(known.publicUrl);
  const origins = own ? [...known.cors, own.origin] : known.cors;
  const hosts = ['localhost', ...known.hosts, ...(own ? [own.hostname] : [])];
  return (request) => {
    const { origin, 'sec-fetch-site': site } = request.headers;
    if (origin === undefined && site === undefined) return;
    if (origin !== undefined && origins.includes(origin)) return;
    const host = hostOf(request.host);
    const isKnown = isIP(host) !== 0 || hosts.includes(host);
    const isOwn = origin === undefined || origin === `${request.protocol}://${request.host}`;
    if (isKnown && isOwn) return;
    throw new RequestError(403, 'forbidden', 'pages of other origins may not call this server');
  };
}
