import {
  type CacheOptions,
  type CallPlan,
  type FullCall,
  type RetrieveCall,
  SettingsPolicy,
} from '../deepcache/index.js';
import type { MacsInfo } from '../models/unet.js';
import type { UnetPlanInfo, UnetSize } from '../native/types.js';
import { oneLine } from '../printable.js';
import { formatCount, formatTable } from './format.js';
import type { BesideUnet } from './macs-beside.js';

const COLUMNS = ['repo', 'complete', 'executed'] as const;

/** Multiply-accumulates of a whole run with a cache. */
export interface RunMacs {
  cache: CacheOptions;
  branch: number;
  /** Which U-Net calls are full ones. */
  full: boolean[];
  /** How many are predicted, without the U-Net. */
  predicted: number;
  average: MacsInfo;
  total: MacsInfo;
  /** Of the same run without a cache. */
  share: MacsInfo;
  note?: string;
}

/** Plans of a U-Net whose calls do something about outputs of attention, by that. */
export type GatedPlans = ReadonlyMap<string, Pick<UnetPlanInfo, 'full' | 'branches'>>;

const usesOf = ({ cross, self, halves }: FullCall | RetrieveCall) => [cross, self, halves].join(' ');

/**
 * What the calls of a run compute.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT for settings that the run or the U-Net cannot have.
 */
export function layoutOf(plan: UnetPlanInfo, calls: number, cache: CacheOptions) {
  // No sampler here: every call has a timestep of its own.
  const timesteps = Array.from({ length: calls }, (_, i) => i);
  const run = { timesteps, schedulerTimesteps: timesteps, branches: plan.branches.length };
  return new SettingsPolicy(cache).layout(run);
}

/** Makes the plans that its calls behind a gate, and at it, have; of an even batch these compute half, as guidance ends there. */
export async function gatedPlans(
  calls: readonly CallPlan[],
  size: UnetSize,
  planOf: (size: UnetSize) => Promise<UnetPlanInfo>,
): Promise<GatedPlans> {
  const plans = new Map<string, UnetPlanInfo>();
  for (const call of calls) {
    if ((call.kind !== 'full' && call.kind !== 'retrieve') || plans.has(usesOf(call))) continue;
    const { cross, self, halves } = call;
    if (!cross && !self && !halves) continue;
    const batch = halves && size.batch % 2 === 0 ? size.batch / 2 : size.batch;
    plans.set(usesOf(call), await planOf({ ...size, batch, ...(cross && { cross }), ...(self && { self }) }));
  }
  return plans;
}

export function countRun(
  plan: UnetPlanInfo,
  { calls: laidOut, branch, note }: ReturnType<typeof layoutOf>,
  cache: CacheOptions,
  gated: GatedPlans,
  { controlNets, t2iAdapters, isLive }: BesideUnet = { controlNets: [], t2iAdapters: [], isLive: false },
): RunMacs {
  const calls = laidOut.length;
  const full = laidOut.map(({ kind }) => kind === 'full');
  const sum = (costs: readonly MacsInfo[]) =>
    each((column) => costs.reduce((all, one) => all + one[column], 0));
  const whole = sum([plan.full, ...controlNets.map((net) => net.plan.full)]);
  const live = sum([...(isLive ? controlNets.map((net) => net.plan.branches[branch] as MacsInfo) : [])]);
  const cost = (call: CallPlan) => {
    if (call.kind !== 'full' && call.kind !== 'retrieve') return [];
    const own = gated.get(usesOf(call)) ?? plan;
    if (call.kind === 'retrieve') return [own.branches[branch] as MacsInfo, live];
    return [own.full, ...controlNets.map((net) => net.plan.full)];
  };
  // The reference looks at a ControlNet's picture in every call, which the counts of calls hold.
  const pictures = controlNets.map(({ plan: { once } }) => ({
    repo: 0,
    complete: 0,
    executed: once?.executed ?? 0,
  }));
  const once = sum([...pictures, ...t2iAdapters.map(({ encode }) => encode)]);
  const total = sum([once, ...laidOut.flatMap(cost)]);
  return {
    cache,
    branch,
    full,
    predicted: laidOut.filter(({ kind }) => kind === 'forecast').length,
    average: each((column) => total[column] / calls),
    total,
    share: each((column) => total[column] / (whole[column] * calls + once[column])),
    ...(note !== undefined && { note }),
  };
}

export function macsText(
  name: string,
  size: UnetSize,
  scale: number,
  plan: UnetPlanInfo,
  { controlNets, t2iAdapters }: BesideUnet,
  run?: RunMacs,
): string {
  const { width, height, batch, contextLength, imageTokens = [] } = size;
  const pictures = imageTokens.length > 0 ? ` and ${imageTokens.join(' + ')} of pictures` : '';
  const title =
    `U-Net of ${oneLine(name)}: ${formatCount(plan.parameters)} parameters\n` +
    `latents ${width}x${height} (image ${width * scale}x${height * scale}), batch ${batch}, ${contextLength} tokens${pictures}\n\n`;
  const row = (label: string, macs: MacsInfo, last: string, feature = '') => [
    label,
    ...COLUMNS.map((column) => giga(macs[column])),
    last,
    feature,
  ];
  const rows = [
    ['GMACs', ...COLUMNS, 'of full', 'feature kept'],
    row('full step', plan.full, percent(1)),
    ...plan.branches.map((b) =>
      row(`branch ${b.branch}`, b, percent(b.complete / plan.full.complete), b.feature),
    ),
    ...controlNets.map((net) =>
      row(
        `ControlNet ${oneLine(net.name)}`,
        net.plan.full,
        percent(net.plan.full.complete / plan.full.complete),
      ),
    ),
    ...t2iAdapters.map((one) =>
      row(
        `T2I-Adapter ${oneLine(one.name)}, once`,
        one.encode,
        percent(one.encode.complete / plan.full.complete),
      ),
    ),
  ];
  return title + formatTable(rows) + (run ? runText(run) : '');
}

function runText({ cache, full, predicted, branch, average, total, share, note }: RunMacs): string {
  const fullCalls = full.filter(Boolean).length;
  const steps = full.flatMap((isFull, i) => (isFull ? [i] : [])).join(' ');
  return [
    `\n${full.length} steps: ${fullCalls} full, ${full.length - fullCalls - predicted} cached at branch ${branch}` +
      `${predicted > 0 ? `, ${predicted} predicted` : ''}\n`,
    note ? `${note}\n` : '',
    formatTable([
      ['GMACs', ...COLUMNS],
      ['average step', ...COLUMNS.map((column) => giga(average[column]))],
      ['whole run', ...COLUMNS.map((column) => giga(total[column]))],
      ['of an uncached run', ...COLUMNS.map((column) => percent(share[column]))],
    ]),
    `full steps: ${steps}\n`,
    typeof cache === 'string' ? 'a run may have as many elsewhere, by its sampler and guidance scale\n' : '',
  ].join('');
}

function each(value: (column: (typeof COLUMNS)[number]) => number): MacsInfo {
  return { repo: value('repo'), complete: value('complete'), executed: value('executed') };
}

function giga(macs: number): string {
  return (macs / 1e9).toFixed(3);
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}
