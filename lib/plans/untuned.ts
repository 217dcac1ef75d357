import { CACHE_PRESETS, type CachePreset, type CacheSettings, lateList } from '../deepcache/index.js';
import type { PlannedRun } from './saved-plan.js';

// What presets stand for without a plan of the model's own. Chosen from and checked by what was measured with the demo model
// (docs/quality.md, "What presets stand for"; bench/results/presets-demo-2026-11-29.json): in no cell of that table is the
// mean or the worst picture further from the uncached one than with equal intervals.

/** Pipelines from text alone. */
const PIPELINES = ['StableDiffusionPipeline', 'StableDiffusionXLPipeline'];
/** Numbers of steps that were measured. */
const [FEWEST, MOST] = [20, 50];
/** Guidance scales: there is guidance above NONE; up to LOW it is low. */
const [NONE, LOW, HIGH] = [1, 3, 7.5];

/** null: the preset itself. */
type Own = {
  /** Full call i of n at (i / n)^power of the run; default: at equal intervals. */
  readonly power?: number;
  /** Features go on between them. */
  readonly featureDamping?: number;
  /** In runs of so many steps at most. */
  readonly most?: number;
  /** From this guidance scale on. */
  readonly from?: number;
} | null;
type Rule = Readonly<Record<CachePreset, readonly [lowGuidance: Own, highGuidance: Own]>>;

/** Early in a run less changes from call to call. */
const HELD: Own = { power: 0.8 };
const late = (featureDamping: number): Own => ({ ...HELD, featureDamping });

/** Steps straight along the noise, one call each. Guidance multiplies what features that go on are wrong by. */
const STRAIGHT: Rule = {
  quality: [{ featureDamping: 0.5 }, { ...late(0.35), from: 5 }],
  balanced: [late(0.7), { power: 0.9, most: 40 }],
  fast: [null, null],
};
/** With new noise in each, what features were before says little about what they will be. */
const NOISY: Rule = { quality: [HELD, HELD], balanced: [HELD, { ...HELD, most: 40 }], fast: [null, null] };
/** Outputs of earlier steps count again, and so do their errors: only small ones are safe. */
const MULTISTEP: Rule = {
  quality: [{ featureDamping: 0.3 }, null],
  balanced: [null, null],
  fast: [null, null],
};
/** Two calls a step, close to each other. */
const TWICE: Rule = { quality: [null, late(0.35)], balanced: [late(0.7), null], fast: [null, null] };

/** Of the samplers that were measured. */
const RULES: Readonly<Record<string, Rule>> = {
  DDIMScheduler: STRAIGHT,
  EulerDiscreteScheduler: STRAIGHT,
  EulerAncestralDiscreteScheduler: NOISY,
  UniPCMultistepScheduler: MULTISTEP,
  HeunDiscreteScheduler: TWICE,
};

/**
 * What a preset stands for in runs that no plan is for: as many full calls as at its equal intervals, so no more work with any
 * model.
 *
 * @param callsOf tells the U-Net calls of the run: it is asked only where it matters, as they take planning the run.
 * @returns the preset itself, equal intervals, where nothing was measured to be better.
 */
export function untunedPreset(
  preset: CachePreset,
  run: PlannedRun,
  callsOf: () => number,
): CacheSettings | CachePreset {
  const { pipeline, scheduler, steps, guidanceScale } = run;
  const isKnown = guidanceScale > NONE && guidanceScale <= HIGH && steps >= FEWEST && steps <= MOST;
  const rule = PIPELINES.includes(pipeline) && isKnown ? RULES[scheduler] : undefined;
  const found = rule?.[preset][guidanceScale <= LOW ? 0 : 1];
  const { power, featureDamping, most = MOST, from = 0 } = found ?? {};
  if (!found || steps > most || guidanceScale < from) return preset;
  const features = featureDamping === undefined ? {} : { featureDamping };
  const { interval, branch } = CACHE_PRESETS[preset];
  if (power === undefined) return { interval, branch, ...features };
  const calls = callsOf();
  return { steps: lateList(calls, Math.ceil(calls / interval), power), branch, ...features };
}
