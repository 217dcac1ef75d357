import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { buildApp } from './app.js';
import type { Engine, SharedQueue } from './engine.js';
import { toRequestError } from './errors.js';
import type { DeskListeners, JobDesk } from './jobs/desk.js';
import { LocalDesk } from './jobs/local-desk.js';
import { statusOf } from './jobs/status.js';
import { Metrics } from './metrics.js';
import { resolveOptions, type ServerOptions, type Settings } from './options.js';
import { Webhooks } from './webhooks.js';

/** Milliseconds in which answers to finished jobs leave. */
const LAST_ANSWERS = 5000;

/** Pictures over HTTP: the server's own jobs, OpenAI's Images and the web UI's API in front of one engine. */
export class ImageServer {
  private constructor(
    private readonly app: FastifyInstance,
    private readonly engine: Engine | SharedQueue,
    private readonly records: JobDesk,
    private readonly webhooks: Webhooks,
    private readonly settings: Settings,
    private readonly unanswered: ReadonlySet<FastifyReply>,
  ) {}

  /**
   * A server that does not listen yet.
   *
   * @param engine makes the pictures; it is closed with the server.
   * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT naming the option.
   */
  static async create(engine: Engine | SharedQueue, options: ServerOptions = {}): Promise<ImageServer> {
    const settings = resolveOptions(options);
    const metrics = new Metrics(engine);
    let app: FastifyInstance | undefined;
    const webhooks = new Webhooks(settings.webhooks, (job, reason) =>
      app?.log.warn({ job, reason }, 'a webhook was not delivered'),
    );
    const { keep, patience, limits, logPrompts } = settings;
    const desk = { keep, patience, pendingBytes: limits.pendingBytes };
    const listeners: DeskListeners = {
      onEvent: (record, event) => metrics.event(record, event),
      onEnd: (record) => {
        metrics.end(record);
        const { id, state, owner, request, error } = record;
        const { model, task, options } = request;
        const about = {
          job: id,
          state,
          caller: owner,
          model,
          task,
          ...(logPrompts && { prompt: options.prompt }),
        };
        // What the caller did wrong is quoted to the caller, and to nobody else.
        const isOurs = error !== undefined && toRequestError(error).status >= 500;
        if (state === 'failed' && isOurs) app?.log.error({ ...about, err: error }, 'job failed');
        else app?.log.info(about, 'job ended');
      },
      onHook: (record, { address, base }) =>
        webhooks.send(address, record.id, { type: `job.${record.state}`, job: statusOf(record, base) }),
    };
    const records = 'desk' in engine ? engine.desk(desk, listeners) : new LocalDesk(engine, desk, listeners);
    const unanswered = new Set<FastifyReply>();
    app = await buildApp({ engine, records, webhooks, settings, metrics, unanswered });
    return new ImageServer(app, engine, records, webhooks, settings, unanswered);
  }

  /**
   * Begins to listen.
   *
   * @param place host, by default 127.0.0.1, and port, by default any free one.
   * @returns its address.
   */
  async listen({ host = '127.0.0.1', port = 0 }: { host?: string; port?: number } = {}): Promise<string> {
    return this.app.listen({ host, port });
  }

  /** Whether callers need keys. */
  get needsKeys(): boolean {
    return this.settings.ring.isNeeded;
  }

  /**
   * Takes no more jobs, finishes those it has for as long as `closeSeconds` says, cancels the rest, sends the last
   * answers, and closes the engine.
   */
  async close(): Promise<void> {
    this.records.close();
    const finished = this.engine.close({ finish: true });
    await Promise.race([finished, sleep(this.settings.closeSeconds * 1000, undefined, { ref: false })]);
    await this.engine.close({ finish: false });
    const closed = this.app.close();
    const end = Date.now() + LAST_ANSWERS;
    while (this.unanswered.size > 0 && Date.now() < end) await sleep(10);
    // Also those that browsers opened for a request that never came.
    this.app.server.closeAllConnections();
    await closed;
    this.webhooks.close();
    this.records.clear();
  }
}
