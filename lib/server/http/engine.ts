import type { EngineDevice } from '../engine/engine-options.js';
import type { Job, JobRequest } from '../engine/job.js';
import type { ModelAbout } from '../engine/served-model.js';
import type { DeskListeners, DeskSettings, JobDesk } from './jobs/desk.js';
import type { NetworkNames } from './network-names.js';

export type { Job, JobEvent, JobRequest, JobState } from '../engine/job.js';

/** A model that requests may name. */
export interface ServedModel extends NetworkNames {
  /** What requests call it. */
  readonly name: string;
}

/** How much there is to do. */
export interface Load {
  /** Jobs that wait. */
  readonly queued: number;
  /** Jobs that run. */
  readonly running: number;
  /** Estimated time until all of them are done. */
  readonly secondsLeft?: number | undefined;
  /** Passes of U-Nets so far, and samples in them: their ratio is the size of a batch. */
  readonly passes?: number | undefined;
  /** See `passes`. */
  readonly samples?: number | undefined;
}

/** What is known of whatever makes the pictures. */
export interface Source {
  /** What requests may name, the default first. */
  models(): readonly ServedModel[];
  /** What is known of a model besides; an engine that knows no more than names may be without. */
  about?(model: string): Promise<ModelAbout>;
  /** How much there is to do now. */
  stats(): Load;
  /** Where models are loaded; an engine whose devices are elsewhere is without. */
  devices?(): readonly EngineDevice[];
  /** Takes no more jobs; with `finish` those it has are finished first, without they are cancelled. */
  close(options: { finish: boolean }): Promise<void>;
}

/** What makes the pictures behind the server: an engine of this process, or another place with the same manners. */
export interface Engine extends Source {
  /**
   * Accepts a job.
   *
   * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT in the user's words, ERR_DEEPCACHE_BUSY when the queue is full.
   */
  submit(request: JobRequest): Promise<Job>;
}

/** Jobs that are kept where other servers see them too, and made by other processes. */
export interface SharedQueue extends Source {
  /** @internal The jobs as this server's routes see them. */
  desk(settings: DeskSettings, listeners: DeskListeners): JobDesk;
  /** @internal Why a model that requests may not name is not there; undefined: it never was. */
  absence(model: string | undefined): Error | undefined;
  /** @internal What counts requests of a minute for all servers: an ioredis client. */
  readonly counters: unknown;
  /** @internal What their names begin with. */
  readonly countersPrefix: string;
}
