import { GATE_KEYS } from '../deepcache/gate.js';
import {
  CACHE_PRESETS,
  type CachePreset,
  type CacheSettings,
  type ListedCache,
  type PlannedCache,
  resolveCache,
} from '../deepcache/index.js';
import { invalidArgument } from '../errors.js';
import type { JsonObject } from '../files/json.js';
import { checkNames } from '../names.js';
import { real, whole } from '../options/checks.js';

/** The runs that a plan was found for: others have another number of calls, or noise that changes otherwise. */
export interface PlannedRun {
  /** diffusers' class name of the pipeline. */
  readonly pipeline: string;
  /** diffusers' class name of the scheduler. */
  readonly scheduler: string;
  /** What is set besides the defaults of that class, in diffusers' spelling. */
  readonly schedulerConfig: Readonly<JsonObject>;
  /** Of the options of a run. */
  readonly steps: number;
  /** Of the options of a run. */
  readonly guidanceScale: number;
  /** Image pixels. */
  readonly width: number;
  /** Image pixels. */
  readonly height: number;
}

/** Decibels on prompts that the search had not seen. */
export interface PlanFigures {
  /** How many times as fast as without a cache, by the times of calls. */
  readonly speedup: number;
  /** Mean PSNR to the pictures without a cache. */
  readonly psnr: number;
  /** That of the picture that is least like its uncached one. */
  readonly worst: number;
  /** The mean of equal intervals of the same speed. */
  readonly evenPsnr: number;
  /** Their worst. */
  readonly evenWorst: number;
  /** On so many prompts. */
  readonly prompts: number;
}

/** What a preset stands for in runs of one kind, instead of equal intervals. */
export interface SavedPlan {
  /** What options name. */
  readonly preset: CachePreset;
  /** The runs that it is for. */
  readonly run: PlannedRun;
  /** What it stands for. */
  readonly cache: ListedCache | PlannedCache;
  /** What it was found to be like. */
  readonly figures: PlanFigures;
}

/** Whether a plan is for a run, or two plans for the same. */
export const isSameRun = (a: PlannedRun, b: PlannedRun): boolean => textOf(a) === textOf(b);

/** Files may have the fields in any order. */
const textOf = ({ schedulerConfig, ...rest }: PlannedRun) =>
  JSON.stringify(
    [schedulerConfig, rest].map((fields) => Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1))),
  );

/**
 * A plan as it stands in a file.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT naming the field.
 */
export function toSavedPlan(value: unknown, name: string): SavedPlan {
  const { preset, run, cache, figures, ...rest } = object(value, name);
  checkNames(rest, [], `${name}.`);
  if (typeof preset !== 'string' || !Object.hasOwn(CACHE_PRESETS, preset)) {
    throw invalidArgument(`${name}.preset`, `must be one of ${Object.keys(CACHE_PRESETS).join(', ')}`);
  }
  const settings = object(cache, `${name}.cache`) as unknown as CacheSettings;
  if (settings.plan === undefined && settings.steps === undefined) {
    throw invalidArgument(`${name}.cache`, 'must have a plan, or a list of steps');
  }
  requireUngated(settings, `${name}.cache`);
  const planned = toRun(run, `${name}.run`);
  if (settings.plan === undefined) resolveCache(settings, Number.MAX_SAFE_INTEGER);
  else resolveCache(settings, String(settings.plan).length);
  return {
    preset: preset as CachePreset,
    run: planned,
    cache: settings as ListedCache | PlannedCache,
    figures: toFigures(figures, `${name}.figures`),
  };
}

/**
 * Plans are found without a gate, which changes what calls cost and what they get wrong.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT naming the field.
 */
export function requireUngated(cache: CacheSettings, name: string): void {
  const key = GATE_KEYS.find((gate) => cache[gate] !== undefined);
  if (key) throw invalidArgument(`${name}.${key}`, 'cannot be part of a plan, which is found without it');
}

const MOST = 2 ** 20;

function toRun(value: unknown, name: string): PlannedRun {
  const { pipeline, scheduler, schedulerConfig, steps, guidanceScale, width, height } = object(value, name);
  for (const [key, text] of Object.entries({ pipeline, scheduler })) {
    if (typeof text !== 'string') throw invalidArgument(`${name}.${key}`, 'must be the name of a class');
  }
  const count = (key: string, given: unknown) => whole(`${name}.${key}`, given ?? Number.NaN, 0, 1, MOST);
  return {
    pipeline: pipeline as string,
    scheduler: scheduler as string,
    schedulerConfig: object(schedulerConfig, `${name}.schedulerConfig`),
    steps: count('steps', steps),
    guidanceScale: real(`${name}.guidanceScale`, guidanceScale ?? Number.NaN, 0, 0, MOST),
    width: count('width', width),
    height: count('height', height),
  };
}

const FIGURES = ['speedup', 'psnr', 'worst', 'evenPsnr', 'evenWorst', 'prompts'] as const;

function toFigures(value: unknown, name: string): PlanFigures {
  const given = object(value, name);
  const figures = FIGURES.map((key) => [key, real(`${name}.${key}`, given[key] ?? Number.NaN, 0, 0, MOST)]);
  return Object.fromEntries(figures) as unknown as PlanFigures;
}

function object(value: unknown, name: string): JsonObject {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject;
  throw invalidArgument(name, 'must be an object');
}
