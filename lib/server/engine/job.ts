import type { CallKind } from '../../deepcache/index.js';
import type { GenerateResult } from '../../pipelines/outputs/result.js';
import type { LatentPreview } from '../../previews/latent-preview.js';
import type { JobNetworks } from './networks.js';

/** What a job makes pictures from. */
export const TASKS = ['text-to-image', 'image-to-image', 'inpaint'] as const;
/** What a job makes pictures from: nothing but a text, a picture, or a picture and a mask. */
export type Task = (typeof TASKS)[number];

/** What options are for, by the pictures in them. */
export function taskOf({ image, maskImage }: Readonly<Record<string, unknown>>): Task {
  if (maskImage !== undefined) return 'inpaint';
  return image === undefined ? 'text-to-image' : 'image-to-image';
}

/** Pictures that somebody wants. */
export interface JobRequest {
  /** A name that the engine was given. */
  readonly model: string;
  /** What it starts from. */
  readonly task: Task;
  /** What `generate` of the model's pipeline takes, without `onStep`, `signal` and their like: the engine has its own. */
  readonly options: Readonly<Record<string, unknown>>;
  /** What it uses of the networks that the engine was given, by their names. */
  readonly networks?: JobNetworks;
  /** Jobs of a higher one go first; 0 by default. */
  readonly priority?: number;
  /** When it should be done, also as milliseconds since 1970: among jobs of a priority the one that is pressed goes first. */
  readonly deadline?: Date | number;
  /** Whose job it is: clients share the machine evenly, however many jobs each has. */
  readonly client?: string;
  /** Every how many U-Net calls events have a preview. Default: never. */
  readonly previewEvery?: number;
  /** Of which trace of OpenTelemetry it is a part, as the headers `traceparent` and `tracestate` say it. Default: the active one. */
  readonly trace?: { readonly traceparent: string; readonly tracestate?: string };
}

/** Where a job is. */
export type JobState = 'queued' | 'running' | 'done' | 'failed' | 'cancelled';

/** What happens to a job, in this order; the last three end it. */
export type JobEvent =
  /** How many jobs go before it, and when it should be done. */
  | { readonly type: 'queued'; readonly position: number; readonly secondsLeft?: number }
  | { readonly type: 'started' }
  | {
      readonly type: 'step';
      /** The sampler's steps, done and in all. */
      readonly step: number;
      readonly steps: number;
      /** U-Net calls, done and in all. */
      readonly call: number;
      readonly calls: number;
      readonly kind: CallKind;
      /** Only the newest event that has one keeps it. */
      readonly preview?: LatentPreview;
    }
  | { readonly type: 'done' }
  | { readonly type: 'failed'; readonly error: Error }
  | { readonly type: 'cancelled' };

/** A job that was accepted. */
export interface Job {
  /** Of no other job. */
  readonly id: string;
  /** What was asked for. */
  readonly request: JobRequest;
  /** Where it is now. */
  readonly state: JobState;
  /** How many jobs go before it; 0 when it runs or has ended. */
  readonly position: number;
  /** Estimated time to its end; undefined while nothing is known of its model's speed, and after its end. */
  readonly secondsLeft: number | undefined;
  /** When it was accepted, began and ended: milliseconds since 1970. */
  readonly times: { readonly queued: number; readonly started?: number; readonly ended?: number };
  /** All events from the first, or from that of an index, on, as they come; ends with the job. */
  events(from?: number): AsyncIterable<JobEvent>;
  /** Rejects with what went wrong; nobody has to listen to it. */
  readonly result: Promise<GenerateResult>;
  /** Stops it, waiting or running; the result rejects with ERR_DEEPCACHE_ABORTED. */
  cancel(): void;
}
