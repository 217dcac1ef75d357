import { DeepCacheError } from '../../lib/errors.js';
import type { DeviceOptions } from '../../lib/native/device.js';
import { findCheck } from './checks/index.js';
import type { Comparison } from './compare.js';
import { besideRuns, DISTURBANCES, DisturbedFolders, mayBeConditioning } from './conditioning.js';
import { Findings } from './findings.js';
import type { GoldenCase } from './goldens.js';
import { Models } from './models.js';
import { type Precision, precisionOf } from './precision.js';

export type Status = 'passed' | 'failed' | 'not supported';

export interface CaseResult {
  name: string;
  kind: string;
  group: string;
  status: Status;
  seconds: number;
  /** The error that ended the case, or what is not supported. */
  reason?: string;
  comparisons: readonly Comparison[];
}

export interface RunOptions extends DeviceOptions {
  onResult?: (result: CaseResult, done: number, total: number) => void;
}

/** Runs cases one after the other. The models of a family are freed before the next one begins. */
export async function runCases(
  cases: readonly GoldenCase[],
  { onResult, ...options }: RunOptions,
): Promise<CaseResult[]> {
  const results: CaseResult[] = [];
  const models = new Models(options);
  const precision = precisionOf(options);
  const count = precision === 'fp32' ? 0 : DISTURBANCES;
  const folders = Array.from({ length: count }, (_, i) => new DisturbedFolders(precision, i + 1));
  const disturbed = folders.map((each) => new Models({ device: 'cpu' }, (folder) => each.copyOf(folder)));
  const dispose = () => Promise.all([models, ...disturbed].map((each) => each.dispose()));
  let family: string | undefined;
  try {
    for (const golden of cases) {
      if (golden.family !== family) await dispose();
      family = golden.family;
      const own = await runCase(golden, models, precision);
      const result = own.status === 'failed' ? await again(golden, own, disturbed, precision) : own;
      results.push(result);
      onResult?.(result, results.length, cases.length);
    }
  } finally {
    await dispose();
    for (const each of folders) each.dispose();
  }
  return results;
}

/** A failed case, held against how far the reference moves when its weights are disturbed. */
async function again(
  golden: GoldenCase,
  result: CaseResult,
  disturbed: readonly Models[],
  precision: Precision,
): Promise<CaseResult> {
  if (disturbed.length === 0 || !mayBeConditioning(result.comparisons)) return result;
  const runs = async function* () {
    for (const models of disturbed) yield (await runCase(golden, models, precision)).comparisons;
  };
  const comparisons = await besideRuns(result.comparisons, runs());
  return { ...result, comparisons, status: comparisons.every(({ ok }) => ok) ? 'passed' : 'failed' };
}

async function runCase(golden: GoldenCase, models: Models, precision: Precision): Promise<CaseResult> {
  const findings = new Findings(golden, precision);
  const start = performance.now();
  const end = (status: Status, reason?: string): CaseResult => ({
    name: golden.name,
    kind: golden.kind,
    group: golden.group,
    status,
    seconds: (performance.now() - start) / 1000,
    ...(reason !== undefined && { reason }),
    comparisons: findings.comparisons,
  });
  const check = findCheck(golden.kind);
  if (!check) return end('not supported', `kind ${golden.kind}`);
  try {
    await check(golden, findings, models);
  } catch (error) {
    const unsupported = error instanceof DeepCacheError && error.code === 'ERR_DEEPCACHE_UNSUPPORTED';
    return end(unsupported ? 'not supported' : 'failed', describe(error));
  }
  if (findings.comparisons.length === 0) return end('failed', 'nothing was compared');
  return end(findings.comparisons.every(({ ok }) => ok) ? 'passed' : 'failed');
}

function describe(error: unknown): string {
  if (error instanceof DeepCacheError) return `${error.code}: ${error.message}`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
