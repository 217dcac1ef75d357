import type { EncodeOptions, Image, ImageFormat } from '../../../images/image.js';
import type { Seed } from '../../../pipelines/inputs/seeds.js';
import type { JobEvent, JobRequest, JobState } from '../../engine/job.js';
import type { Caller } from '../keys.js';

// What routes know of jobs, whether these run in this process or on other machines.

/** How far a run is. */
export interface Progress {
  readonly step: number;
  readonly steps: number;
  readonly call: number;
  readonly calls: number;
}

/** A look at a picture on the way. */
export interface Preview {
  toImage(): Promise<Image>;
}

type StepEvent = Extract<JobEvent, { type: 'step' }>;

/** What happens to a job. */
export type ServedEvent =
  | Exclude<JobEvent, StepEvent>
  | (Omit<StepEvent, 'preview'> & { readonly preview?: Preview });

/** A picture that was made. */
export interface MadePicture {
  readonly width: number;
  readonly height: number;
  /** Its file; settings that are too long for a format that is no PNG stay behind. */
  file(format: ImageFormat, options?: EncodeOptions): Promise<Buffer>;
}

/** What a job made. */
export interface Made {
  /** One at least. */
  readonly pictures: readonly MadePicture[];
  readonly settings: readonly string[];
  readonly seeds: readonly Seed[];
  readonly notes: readonly string[];
  /** Seconds of each phase, and `total`. */
  readonly times: Readonly<Record<string, number>>;
  readonly speedup: number;
}

/** A job, and what is known about it besides. */
export interface JobRecord {
  /** What callers know it by. */
  readonly id: string;
  /** Whoever knows it may fetch the pictures: it is a part of their addresses. */
  readonly token: string;
  /** What was asked for. Its pictures may be missing. */
  readonly request: Pick<JobRequest, 'model' | 'task' | 'options'>;
  readonly owner: string;
  readonly state: JobState;
  /** How many jobs go before it; 0 when it runs or has ended. */
  readonly position: number;
  /** Estimated time to its end. */
  readonly secondsLeft: number | undefined;
  readonly progress: Progress | undefined;
  /** The newest, while it runs. */
  readonly preview: Preview | undefined;
  /** When it was accepted, began and ended: milliseconds since 1970. */
  readonly created: number;
  readonly started: number | undefined;
  readonly ended: number | undefined;
  readonly error: Error | undefined;
  readonly result: Made | undefined;
  /** Resolves at its end, when all that is known of it is here. */
  readonly over: Promise<void>;
  /** All events from the first, or from that of an index, on, as they come. */
  events(from?: number): AsyncIterable<ServedEvent>;
  /** Stops it, waiting or running; it may go on for a call. */
  cancel(): Promise<void>;
  /** Somebody asked for it. */
  touch(): void;
  /**
   * Somebody listens to it until the returned function is called.
   *
   * @param needsEnd they get their answer at its end, and nowhere else: a server that leaves waits for it.
   */
  attach(needsEnd?: boolean): () => void;
}

/** An address that is told of the end of a job, and what addresses of its pictures begin with. */
export interface Hook {
  readonly address: string;
  readonly base: string;
}

/** A job that a caller hands in. */
export interface Submission {
  readonly caller: Caller;
  readonly request: Omit<JobRequest, 'client'>;
  /** It goes on when nobody listens. */
  readonly detach?: boolean | undefined;
  /** It is what the caller's next {@link JobDesk.newest} means. */
  readonly isNewest?: boolean | undefined;
  /** Bytes of the pictures in it. */
  readonly bytes?: number | undefined;
  /** The caller's own name for the request, and a digest of what was asked. */
  readonly idempotency?: { readonly key: string; readonly digest: string } | undefined;
  readonly hook?: Hook | undefined;
}

/** How long, and how much of, finished jobs are kept. */
export interface Keeping {
  /** After the end of a job. */
  readonly seconds: number;
  /** Of pictures of all finished jobs; the oldest go first. */
  readonly bytes: number;
}

/** How long the server waits for a caller who has gone silent, in seconds. */
export interface Patience {
  /** After the last stream of events has ended, for a client that connects again. */
  readonly reconnect: number;
  /** Between two questions of a client that listens to no stream. */
  readonly poll: number;
}

/** How a desk behaves. */
export interface DeskSettings {
  readonly keep: Keeping;
  readonly patience: Patience;
  /** Of pictures in requests that wait or run. */
  readonly pendingBytes: number;
}

/** What others are told of the jobs that this server accepted. */
export interface DeskListeners {
  onEvent(record: JobRecord, event: ServedEvent): void;
  onEnd(record: JobRecord): void;
  /** A job that has a hook is over; resolves when it was told, or given up. */
  onHook(record: JobRecord, hook: Hook): Promise<void>;
}

/** The jobs of all callers, from their acceptance until they are forgotten. */
export interface JobDesk {
  /** Takes no more from now on. */
  close(): void;
  readonly isClosing: boolean;
  /** Why no job can be done now; undefined: they can. */
  readonly problem: Error | undefined;
  /**
   * Accepts a job, or finds the one of the same idempotency key.
   *
   * @throws RequestError 409 for a key that was used for something else, 503; DeepCacheError ERR_DEEPCACHE_BUSY when there
   * is no room, and what is wrong with the job.
   */
  submit(submission: Submission): Promise<{ record: JobRecord; isRepeat: boolean }>;
  /** A job of the caller; what is somebody else's is not there: RequestError 404. */
  find(id: string, caller: Caller): Promise<JobRecord>;
  /** A job by the token in the addresses of its pictures: RequestError 404 for one that is none. */
  findByToken(token: string): Promise<JobRecord>;
  /** All of the caller, the newest last. */
  of(caller: Caller): Promise<JobRecord[]>;
  /** The job that the caller handed in last as such, while it is not over. */
  newest(caller: Caller): Promise<JobRecord | undefined>;
  /** The model that the caller uses where requests name none. */
  chosenModel(caller: Caller): Promise<string | undefined>;
  chooseModel(caller: Caller, model: string): Promise<void>;
  /** Lets go of everything: what lives in this process is cancelled. */
  clear(): void;
}
