import { DeepCacheError, invalidArgument } from '../errors.js';
import type { CompiledRow, CompiledSchedule, NoiseLevel } from '../schedulers/compiled.js';
import { freeSlots } from '../schedulers/free-slots.js';
import { assign, combine, type Linear, slot } from '../schedulers/linear.js';
import { type Assignment, type PerSample, type Slot, TABLE_LIMITS, type Term } from '../schedulers/table.js';
import { stepAlong, withFeatureForecasts } from './feature-forecast.js';
import type { CallPlan, ForecastCall, PlacedCall, PredictedCall } from './policy.js';

/** A coefficient that rounding left where nothing should be. */
const NOTHING = 1e-12;

/**
 * Makes predicted calls of those to be forecast, and gives retrieve calls the factors of their features. A row that the forecasts need keeps its predicted noise z in one of
 * two slots that the sampler leaves free, before the sampler's own assignments; the row to be forecast takes
 * z = z_k + gamma (z_k - z_j), k and j being the last two full calls, and turns it into what the model would have given
 * there. With one full call before it, z is held. Where calls say so, curve (z_k - 2 z_j + z_i) is added, i being the full call before
 * both, for which there is one slot more, and noise z_k + clean x0_k, x0_k being what call k took for the clean
 * latents, in a slot of its own.
 *
 * The noise is forecast, not the model's output: a v-prediction turns with the noise level, the noise changes slowly.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_UNSUPPORTED for a sampler that leaves too few slots, or no assignment;
 * ERR_DEEPCACHE_INVALID_ARGUMENT for a forecast before the first full call.
 */
export function withForecasts(
  { rows, noiseLevels }: Pick<CompiledSchedule, 'rows' | 'noiseLevels'>,
  given: readonly CallPlan[],
): { rows: readonly CompiledRow[]; calls: readonly PlacedCall[] } {
  const calls = withFeatureForecasts(noiseLevels, given);
  if (!calls.some(({ kind }) => kind === 'forecast')) return { rows, calls: calls as PlacedCall[] };
  const uses = (name: 'curve' | 'clean') => calls.some((call) => call.kind === 'forecast' && call[name]);
  const count = uses('curve') ? 3 : 2;
  const sources = forecastSources(calls, count);
  const needed = new Set(sources.flat());
  const [cleanSlot, ...slots] = slotsFor(rows, count, uses('clean'));
  // Rows that keep something write by turns, so that the last ones are there.
  const slotOf = new Map([...needed].sort((a, b) => a - b).map((row, i) => [row, slots[i % count] as Slot]));
  return {
    rows: rows.map((row, i) => {
      const to = slotOf.get(i);
      if (!to) return row;
      const kept = keeping(row, noiseOf(row, noiseLevels[i] as NoiseLevel, i), to as Assignment['to']);
      return cleanSlot ? keeping(kept, slot('x0'), cleanSlot as Assignment['to']) : kept;
    }),
    calls: calls.map((call, i) => {
      if (call.kind !== 'forecast') return call;
      const [last, before, first] = sources[i] as number[];
      const { damping = 1, curve = 0 } = call;
      const { gamma = damping * lineFactor(noiseLevels, i, last as number, before) } = call;
      const kept = (row: number | undefined) => slot(slotOf.get(row as number) as Slot);
      const along =
        before === undefined || gamma === 0
          ? kept(last)
          : combine([1 + gamma, kept(last)], [-gamma, kept(before)]);
      const bent =
        before === undefined || first === undefined
          ? []
          : ([
              [curve, kept(last)],
              [-2 * curve, kept(before)],
              [curve, kept(first)],
            ] as const);
      const added = [[call.noise ?? 0, kept(last)] as const, ...bent, ...cleanOf(call, cleanSlot)];
      const noise = added.some(([factor]) => factor !== 0) ? combine([1, along], ...added) : along;
      return predicted(outputOf(rows[i] as CompiledRow, noiseLevels[i] as NoiseLevel, noise, i));
    }),
  };
}

/**
 * The factor of a straight line through the last two full calls over the logarithm of the signal-to-noise ratio,
 * lambda = log(alpha / sigma): (lambda_i - lambda_k) / (lambda_k - lambda_j).
 */
export function lineFactor(
  levels: readonly NoiseLevel[],
  call: number,
  last: number,
  before: number | undefined,
): number {
  const lambda = (i: number) => {
    const { sqrtAlpha, sigma } = levels[i] as NoiseLevel;
    return Math.log(sqrtAlpha / sigma);
  };
  return stepAlong(lambda, call, last, before);
}

/** For each forecast call the last `count` full ones, the last first, as far as there are such; nothing for other calls. */
function forecastSources(calls: readonly CallPlan[], count: number): number[][] {
  const full: number[] = [];
  return calls.map((call, i) => {
    if (call.kind === 'full') full.push(i);
    if (call.kind !== 'forecast') return [];
    if (full.length === 0)
      throw invalidArgument('calls', 'must begin in full: there is nothing to forecast from');
    return full.slice(-count).reverse();
  });
}

/** The clean latents of the last full call, as much as a call adds of them. */
const cleanOf = ({ clean = 0 }: ForecastCall, from: Slot | undefined) =>
  from && clean !== 0 ? [[clean, slot(from)] as const] : [];

/** Slots that no row of the sampler names: one for clean latents, or undefined, and so many for noise. */
function slotsFor(
  rows: readonly CompiledRow[],
  forNoise: number,
  usesClean: boolean,
): [clean: Slot | undefined, ...noise: Slot[]] {
  const count = forNoise + (usesClean ? 1 : 0);
  const free = freeSlots(rows).slice(-count);
  const room = TABLE_LIMITS.assignments - (usesClean ? 2 : 1);
  if (free.length < count || rows.some((row) => row.assign.length > room)) {
    throw new DeepCacheError(
      'ERR_DEEPCACHE_UNSUPPORTED',
      'cache: this sampler needs all memory of a step; its calls cannot be predicted, only retrieved',
    );
  }
  return usesClean ? (free as [Slot, ...Slot[]]) : [undefined, ...free];
}

function keeping(row: CompiledRow, noise: Linear, to: Assignment['to']): CompiledRow {
  return { ...row, assign: [assign(to, noise), ...row.assign] };
}

/** The noise that a row's model output m means: x = alpha x0 + sigma z, with the x0 of the row before it is clipped. */
function noiseOf(row: CompiledRow, { sqrtAlpha, sigma }: NoiseLevel, call: number): Linear {
  const [p, q] = x0Of(row, call);
  if (sigma === 0) {
    throw new DeepCacheError(
      'ERR_DEEPCACHE_UNSUPPORTED',
      `cache: call ${call} of this sampler has no noise to forecast from`,
    );
  }
  return cleaned({ x: (1 - sqrtAlpha * p) / sigma, m: (-sqrtAlpha * q) / sigma });
}

/** The model output that means the noise, at a row: the inverse of {@link noiseOf}. */
function outputOf(row: CompiledRow, { sqrtAlpha, sigma }: NoiseLevel, noise: Linear, call: number): Linear {
  const [p, q] = x0Of(row, call);
  const scale = 1 / (sqrtAlpha * q);
  return cleaned(combine([(1 - sqrtAlpha * p) * scale, slot('x')], [-sigma * scale, noise]));
}

function x0Of({ x0 }: CompiledRow, call: number): [number, number] {
  return [shared(x0.x, call), shared(x0.m, call)];
}

/** Schedulers compile for one sample; batches of several schedules are put together later. */
function shared(value: PerSample, call: number): number {
  if (typeof value === 'number') return value;
  throw new DeepCacheError(
    'ERR_DEEPCACHE_INTERNAL',
    `call ${call} has coefficients of its own for each sample`,
  );
}

function cleaned(linear: Linear): Linear {
  const entries = Object.entries(linear) as [Slot, number][];
  const largest = Math.max(...entries.map(([, value]) => Math.abs(value)));
  return Object.fromEntries(entries.filter(([, value]) => Math.abs(value) > NOTHING * largest));
}

function predicted(linear: Linear): PredictedCall {
  const terms: Term[] = assign('x0', linear).terms.slice();
  return { kind: 'predict', terms };
}
