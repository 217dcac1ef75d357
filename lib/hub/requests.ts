import { show } from '../messages.js';
import { downloadError } from './places.js';

/** An answer that is no success, or none at all. */
export class HubFailure extends Error {
  constructor(
    readonly status: number | undefined,
    /** What the Hub calls it: RepoNotFound, GatedRepo ... */
    readonly kind: string | undefined,
    message: string,
    /** Seconds after which the Hub asks to try again. */
    readonly retryAfter?: number,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }

  /** Whether it may be different a moment later. */
  get isPassing(): boolean {
    return this.status === undefined || this.status === 429 || this.status >= 500 || this.kind === RESTARTED;
  }
}

/** A server that sends the beginning where the rest was asked for. */
export const RESTARTED = 'Restarted';

/** Lists of files; the longest have a few MB. */
const MOST_LISTED = 2 ** 26;

/**
 * fetch() for the Hub's library: stops with the signal, fails with a {@link HubFailure} and keeps the last one, since the
 * library's streams hand over its message alone. The token goes to the Hub itself only, and lists have an end.
 */
export class HubRequests {
  last: HubFailure | undefined;

  constructor(
    private readonly endpoint: string,
    private readonly signal: AbortSignal | undefined,
  ) {}

  readonly fetch: typeof fetch = async (input, init) => {
    this.signal?.throwIfAborted();
    const url = new URL(input instanceof Request ? input.url : input);
    const headers = new Headers(init?.headers);
    if (url.origin !== new URL(this.endpoint).origin) headers.delete('authorization');
    try {
      const response = await fetch(url, { ...init, headers, ...(this.signal && { signal: this.signal }) });
      if (!response.ok) throw await failureOf(response);
      const first = Number(/^bytes=(\d+)-/.exec(headers.get('range') ?? '')?.[1] ?? 0);
      if (first > 0 && response.status !== 206) {
        await response.body?.cancel();
        throw new HubFailure(
          response.status,
          RESTARTED,
          'the server does not go on where a download stopped',
        );
      }
      return url.pathname.includes('/api/') ? bounded(response) : response;
    } catch (error) {
      this.signal?.throwIfAborted();
      this.last = error instanceof HubFailure ? error : unreachable(error);
      throw this.last;
    }
  };

  /** What a request or a stream failed with. */
  failureOf(error: unknown): unknown {
    const { last } = this;
    this.last = undefined;
    if (last || error instanceof HubFailure) return last ?? error;
    return isOfNetwork(error) ? unreachable(error) : error;
  }
}

const NETWORK = /^(?:UND_ERR|ECONN|ENOTFOUND|EAI_|ETIMEDOUT|EPIPE|EHOST|ENETUN|CERT_|ERR_TLS|ERR_SSL|HPE_)/;

/** Also undici's own: "fetch failed", and "terminated" where a connection breaks. */
function isOfNetwork(error: unknown): boolean {
  if (NETWORK.test(codeOf(error) ?? '')) return true;
  return error instanceof TypeError && /^(?:fetch failed|terminated|network error)/i.test(error.message);
}

function unreachable(error: unknown): HubFailure {
  const code = codeOf(error);
  return new HubFailure(undefined, code, code ?? String((error as Error)?.message ?? error), undefined, {
    cause: error,
  });
}

function codeOf(error: unknown): string | undefined {
  for (let one = error as { code?: unknown; cause?: unknown } | undefined, i = 0; one && i < 5; i++) {
    if (typeof one.code === 'string') return one.code;
    one = one.cause as typeof one;
  }
  return undefined;
}

async function failureOf(response: Response): Promise<HubFailure> {
  const kind = response.headers.get('x-error-code') ?? undefined;
  const said = response.headers.get('x-error-message') ?? response.statusText;
  const after = Number(response.headers.get('retry-after') ?? Number.NaN);
  await response.body?.cancel().catch(() => undefined);
  return new HubFailure(response.status, kind, show(said), Number.isFinite(after) ? after : undefined);
}

/** An answer whose text may not go on for ever. */
function bounded(response: Response): Response {
  let total = 0;
  const count = new TransformStream<Uint8Array, Uint8Array>({
    transform(part, controller) {
      total += part.length;
      if (total > MOST_LISTED)
        throw new HubFailure(200, undefined, `an answer of more than ${MOST_LISTED} bytes`);
      controller.enqueue(part);
    },
  });
  const { status, statusText, headers } = response;
  return new Response(response.body?.pipeThrough(count) ?? null, { status, statusText, headers });
}

/** What a failure means for whoever asked for a model. */
export function explained(
  failure: unknown,
  {
    name,
    revision,
    endpoint,
    hasToken,
  }: { name: string; revision: string; endpoint: string; hasToken: boolean },
): unknown {
  if (!(failure instanceof HubFailure)) return failure;
  const { status, kind } = failure;
  const page = `${endpoint}/${name}`;
  const options = { cause: failure };
  const fail = (message: string) => downloadError(name, message, options);
  const token = hasToken
    ? 'the token that was given does not open it'
    : 'give a token: option token, HF_TOKEN or `hf auth login`';
  if (kind === 'GatedRepo' || status === 403) {
    return fail(
      `is gated: accept its conditions at ${page} with an account, then ${hasToken ? 'use a token of that account' : token}`,
    );
  }
  if (kind === 'RevisionNotFound') return fail(`has no revision ${show(revision)} at ${endpoint}`);
  if (kind === 'EntryNotFound') return fail(`lacks a file that it lists; try again`);
  if (status === 401)
    return fail(`is no folder here, and not at ${endpoint} or private: look at its name; ${token}`);
  if (status === 404) return fail(`is not at ${endpoint}: neither a folder here nor a model there`);
  if (status === 429)
    return fail(
      `${endpoint} takes no more requests for now (429); try again later${hasToken ? '' : ', or give a token'}`,
    );
  if (status === undefined) {
    return fail(
      `${endpoint} cannot be reached (${failure.message}); it is no folder here, and was not downloaded before`,
    );
  }
  return fail(`${endpoint} answers ${status} ${failure.message}`);
}
