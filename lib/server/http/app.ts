import cors from '@fastify/cors';
import rateLimit from '@fastify/rate-limit';
import swagger from '@fastify/swagger';
import fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from 'fastify';
import { packageFile } from '../../package-root.js';
import type { Context } from './context.js';
import { RequestError, toRequestError } from './errors.js';
import { originCheck } from './guard.js';
import { jobRoutes } from './jobs/routes.js';
import type { Caller } from './keys.js';
import type { Metrics } from './metrics.js';
import { modelRoutes } from './models.js';
import { openAiRoutes } from './openai/routes.js';
import type { Settings } from './options.js';
import { pageRoutes } from './page.js';
import { sdApiRoutes } from './sdapi/routes.js';
import { schemaMessage } from './validation.js';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Callers need no key here. */
    isOpen?: boolean;
  }
}

/** Bytes of headers; a browser's cookies are under a tenth of it. */
const MOST_HEADERS = 16 * 1024;
/** Seconds in which they must be there. */
const HEADER_SECONDS = 15;
/**
 * Seconds that a connection without a request is kept: longer than proxies keep theirs to a server (nginx and the load
 * balancers of clouds 60), which else would send a request just when it is ended.
 */
const IDLE_SECONDS = 75;

/** What the app is made of besides the routes' context. */
export interface AppParts extends Omit<Context, 'callerOf' | 'baseOf'> {
  readonly settings: Settings;
  readonly metrics: Metrics;
  /** Requests that were not answered yet. */
  readonly unanswered: Set<FastifyReply>;
}

/** The routes of a server, and what guards them. */
export async function buildApp(parts: AppParts): Promise<FastifyInstance> {
  const { engine, settings, metrics, records, unanswered } = parts;
  const { limits, ring, tls } = settings;
  const http = {
    maxHeaderSize: MOST_HEADERS,
    headersTimeout: Math.min(HEADER_SECONDS, limits.seconds) * 1000,
    connectionsCheckingInterval: 1000,
  };
  const app = fastify({
    ...(tls ? { https: { ...http, key: Buffer.from(tls.key), cert: Buffer.from(tls.cert) } } : { http }),
    logger: loggerOf(settings),
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: limits.body,
    requestTimeout: limits.seconds * 1000,
    keepAliveTimeout: IDLE_SECONDS * 1000,
    trustProxy: settings.trustProxy,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: 200 },
    // A request says what it means: nothing is converted, and nothing dropped.
    ajv: {
      customOptions: { removeAdditional: false, coerceTypes: false, useDefaults: false, allErrors: false },
    },
    schemaErrorFormatter: schemaMessage,
  } as object) as unknown as FastifyInstance;
  // What a page can send without asking first is no request of ours.
  app.removeContentTypeParser('text/plain');
  app.server.maxConnections = limits.connections;
  const callers = new WeakMap<FastifyRequest, Caller>();
  const context: Context = {
    ...parts,
    callerOf: (request) => callers.get(request) as Caller,
    baseOf: (request) => settings.publicUrl ?? `${request.protocol}://${request.host}`,
  };

  if (settings.cors.length > 0)
    await app.register(cors, { origin: [...settings.cors], methods: ['GET', 'POST', 'DELETE'] });
  const checkOrigin = originCheck(settings);
  app.addHook('onRequest', async (request, reply) => {
    unanswered.add(reply);
    reply.raw.once('close', () => unanswered.delete(reply));
    if (!ring.isNeeded) checkOrigin(request);
    if (request.routeOptions.config.isOpen || request.method === 'OPTIONS') return;
    callers.set(request, ring.callerOf(request.headers, request.ip));
  });
  await app.register(rateLimit, {
    timeWindow: 60_000,
    keyGenerator: (request) => callers.get(request)?.id ?? request.ip,
    max: (request) => callers.get(request)?.requestsPerMinute ?? 6000,
    // Where several servers share a queue they count together; while nobody can count nobody is refused.
    ...('counters' in engine && {
      redis: engine.counters,
      nameSpace: engine.countersPrefix,
      skipOnError: true,
    }),
    errorResponseBuilder: (_, { ttl }) =>
      new RequestError(429, 'too_many_requests', 'too many requests in a minute', Math.ceil(ttl / 1000)),
  });
  // Who does not take an answer shall not keep it here.
  app.addHook('onSend', async (_, reply, payload) => {
    reply.header('x-content-type-options', 'nosniff');
    reply.raw.setTimeout(limits.seconds * 1000, () => {
      // An answer of which nothing waits is quiet, or this process stood still.
      if (reply.raw.writableLength > 0) reply.raw.destroy();
    });
    return payload;
  });
  app.addHook('onResponse', async (request, reply) => {
    const { method, routeOptions } = request;
    const route = routeOptions.url ?? 'none';
    const seconds = reply.elapsedTime / 1000;
    metrics.request(method, route, reply.statusCode, seconds);
    request.log.info(
      { method, route, status: reply.statusCode, seconds, caller: callers.get(request)?.id },
      'answered',
    );
  });
  app.setErrorHandler((error, request, reply) => {
    const answer = toRequestError(error, engine.stats().secondsLeft);
    logFailure(request.log, error, answer);
    if (answer.retryAfter !== undefined) reply.header('retry-after', answer.retryAfter);
    if (answer.status === 401) reply.header('www-authenticate', 'Bearer');
    return reply.code(answer.status).send({ error: { code: answer.code, message: answer.message } });
  });
  app.setNotFoundHandler((request) => {
    throw new RequestError(404, 'not_found', `there is no ${request.method} of this address`);
  });

  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'deepcache',
        description:
          "Pictures by Stable Diffusion: the server's own jobs, OpenAI's Images and the web UI's API.",
        version: packageFile().version,
      },
      components: { securitySchemes: { key: { type: 'http', scheme: 'bearer' } } },
      ...(ring.isNeeded && { security: [{ key: [] }] }),
    },
    hideUntagged: true,
  });
  const open = { config: { isOpen: true, rateLimit: false } } as const;
  app.get('/healthz', open, async () => ({ status: 'ok' }));
  app.get('/readyz', open, async () => {
    if (records.isClosing) throw new RequestError(503, 'closing', 'the server is shutting down');
    if (records.problem) throw records.problem;
    return { status: 'ok' };
  });
  app.get('/metrics', async (_, reply) => reply.type(metrics.contentType).send(await metrics.text()));
  app.get('/openapi.json', open, async () => app.swagger());
  if (settings.page) await app.register(pageRoutes);
  modelRoutes(app, context);
  await app.register((scope) => jobRoutes(scope, context, limits));
  await app.register((scope) => openAiRoutes(scope, context, limits));
  await app.register((scope) => sdApiRoutes(scope, context));
  return app;
}

/** Our own failures with all that is known; what the caller did wrong in a line, for who looks for it. */
export function logFailure(log: FastifyBaseLogger, error: unknown, { status, code }: RequestError): void {
  if (status >= 500 && status !== 503) log.error({ err: error, code }, 'failed');
  else log.debug({ status, code }, 'refused');
}

/** Lines of JSON, in which nothing that a request holds is but a text: no line feed, no control sequence. */
function loggerOf({ log, writeLog }: Settings) {
  if (log === 'silent') return false;
  return {
    level: log,
    base: null,
    redact: ['req.headers', 'headers', 'authorization'],
    ...(writeLog && { stream: { write: writeLog } }),
  };
}
