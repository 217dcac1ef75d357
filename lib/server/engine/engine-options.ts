import type { Log } from '../../log.js';
import type { ModelOptions } from './model-options.js';
import type { EngineNetworks } from './networks.js';
import type { Policy } from './schedule/scheduler.js';

/** What an {@link ImageEngine} is made with. */
export interface EngineOptions {
  /** The models by the names that requests use: a place that `fromPretrained` takes, alone or with load options. */
  readonly models: Readonly<Record<string, string | ModelOptions>>;
  /** Where to compute: each device has models and jobs of its own, and takes those of others when it has none. */
  readonly devices?: readonly string[];
  /** What jobs may use besides their model, by names: adapters, ControlNets and others. */
  readonly networks?: EngineNetworks;
  /** Jobs that may wait; a further one is refused with ERR_DEEPCACHE_BUSY. Default 256. */
  readonly maxQueued?: number;
  /** Jobs that are under way at once on a device, and hold memory; which of them make calls is decided anew for each. Default 16. */
  readonly maxRunning?: number;
  /** How jobs share a device; all but 'aligned', the default, are there to compare with: see the docs. */
  readonly policy?: Policy;
  /** Models that are loaded at once on a device; the least recently used one goes for another. Default: what memory has room for. */
  readonly maxLoaded?: number;
  /** Ended jobs that {@link ImageEngine.job} still finds, with their results; the oldest are forgotten. Default 64. */
  readonly maxEnded?: number;
  /** What a user should know about a model; to standard error by default. */
  readonly log?: Log;
}

/** What an engine does and did. */
export interface EngineStats {
  /** Jobs that wait. */
  readonly queued: number;
  /** Jobs that are under way. */
  readonly running: number;
  /** Estimated time until all of them are done; undefined while nothing is known of their models' speed. */
  readonly secondsLeft?: number;
  /** Jobs that were finished so far. */
  readonly done: number;
  /** Jobs that went wrong so far. */
  readonly failed: number;
  /** Jobs that were cancelled so far. */
  readonly cancelled: number;
  /** Passes of U-Nets so far. */
  readonly passes: number;
  /** Samples in all of them: outputs of guidance count each. */
  readonly samples: number;
}

/** A device of an engine. */
export interface EngineDevice {
  /** As options call it: 'cpu', 'cuda:0'. */
  readonly device: string;
  /** Models that are loaded on it. */
  readonly models: readonly string[];
  /** Bytes that can still be allocated there: of the GPU, or of the machine or its cgroup. Absent: nothing is loaded. */
  readonly available?: number;
  /** Time of the passes of U-Nets on it so far. */
  readonly seconds: number;
}

/** A model of an engine. */
export interface EngineModel {
  /** What requests call it. */
  readonly name: string;
  /** Whether its weights are in memory, of a device at least. */
  readonly loaded: boolean;
  /** Adapters that its jobs may name; those made for other kinds of models fail then. */
  readonly loras: readonly string[];
  /** The same of ControlNets. */
  readonly controlNets: readonly string[];
  /** The same of T2I-Adapters. */
  readonly t2iAdapters: readonly string[];
  /** The same of IP-Adapters. */
  readonly ipAdapters: readonly string[];
  /** Textual inversions that its prompts may hold. */
  readonly embeddings: readonly string[];
  /** Networks that enlarge, and how many times where {@link ImageEngine.lookAtNetworks} has looked. */
  readonly upscalers: readonly { readonly name: string; readonly scale?: number }[];
}

/** Names of {@link EngineOptions}. */
export const ENGINE_OPTIONS = [
  'models',
  'networks',
  'devices',
  'policy',
  'maxQueued',
  'maxRunning',
  'maxLoaded',
  'maxEnded',
  'log',
];
