import { DeepCacheError, type DeepCacheErrorCode, messageOf } from '../../errors.js';
import { oneLine } from '../../printable.js';

/** An answer that is no success, with what is said to the caller. */
export class RequestError extends Error {
  /**
   * @param status of HTTP.
   * @param code stable, for programs.
   * @param retryAfter seconds after which it is worth another try.
   */
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly retryAfter?: number,
  ) {
    super(oneLine(message));
  }
}

/** What is the caller's to mend, and what may pass. */
const STATUS: { readonly [Code in DeepCacheErrorCode]?: number } = {
  ERR_DEEPCACHE_INVALID_ARGUMENT: 400,
  ERR_DEEPCACHE_IMAGE: 400,
  ERR_DEEPCACHE_UNSUPPORTED: 400,
  ERR_DEEPCACHE_BUSY: 429,
  ERR_DEEPCACHE_ABORTED: 409,
  ERR_DEEPCACHE_OUT_OF_MEMORY: 503,
  ERR_DEEPCACHE_BACKEND_UNAVAILABLE: 503,
  ERR_DEEPCACHE_DISPOSED: 503,
  ERR_DEEPCACHE_WORKER_LOST: 503,
};

/** Nobody's fault here, and its message names nothing of this machine. */
const TOLD: ReadonlySet<DeepCacheErrorCode> = new Set(['ERR_DEEPCACHE_WORKER_LOST']);

/** Their messages may name files of this machine. */
const PRIVATE = 500;

/** Codes of what HTTP itself and its plugins complain about, by their status. */
const PLAIN: Readonly<Record<number, string>> = {
  400: 'bad_request',
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not_found',
  405: 'method_not_allowed',
  406: 'not_acceptable',
  408: 'timeout',
  413: 'too_large',
  414: 'too_large',
  415: 'unsupported_media_type',
  429: 'too_many_requests',
  431: 'too_large',
};

/** Seconds after which a full queue is asked again where nothing is known of its speed. */
const PATIENCE = 5;

/**
 * What to answer to anything that was thrown. What is our fault says nothing but that: its message is for the log.
 *
 * @param secondsLeft until the queue has moved, for {@link RequestError.retryAfter}.
 */
export function toRequestError(error: unknown, secondsLeft: number = PATIENCE): RequestError {
  if (error instanceof RequestError) return error;
  if (error instanceof DeepCacheError) {
    const status = STATUS[error.code] ?? PRIVATE;
    const message = status >= 500 && !TOLD.has(error.code) ? internal(status) : error.message;
    return new RequestError(
      status,
      error.code,
      message,
      status === 429 ? retryAfter(secondsLeft) : undefined,
    );
  }
  const status = (error as { statusCode?: unknown } | null)?.statusCode;
  if (typeof status === 'number' && status >= 400 && status < 500) {
    return new RequestError(status, PLAIN[status] ?? 'bad_request', messageOf(error));
  }
  return new RequestError(500, 'ERR_DEEPCACHE_INTERNAL', internal(500));
}

function internal(status: number): string {
  return status === 503 ? 'the server cannot do this now' : 'the server failed; its log says why';
}

/** Whole seconds, of a minute at most: things change. */
export function retryAfter(seconds: number): number {
  return Math.min(60, Math.max(1, Math.ceil(seconds)));
}
