import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { findControlNet } from '../control/find.js';
import { invalidConfig } from '../errors.js';
import { type JsonObject, readJson } from '../files/json.js';
import { isFolder } from '../files/read.js';
import type { NetworkFiles } from '../models/model-files.js';
import { stemOf } from '../names.js';
import { native } from '../native/binding.js';
import { finish } from '../native/device.js';
import type { PlanCosts, UnetPlanInfo, UnetSize } from '../native/types.js';
import { findT2IAdapter } from '../t2i-adapter/find.js';

/** A ControlNet beside the U-Net of a run. */
export interface CountedControlNet {
  readonly name: string;
  readonly plan: UnetPlanInfo;
}

/** A T2I-Adapter, which runs once. */
export interface CountedT2IAdapter {
  readonly name: string;
  readonly parameters: number;
  readonly encode: PlanCosts;
}

/** What runs beside a U-Net. */
export interface BesideUnet {
  readonly controlNets: readonly CountedControlNet[];
  readonly t2iAdapters: readonly CountedT2IAdapter[];
  /** Whether ControlNets run in cached calls, too. */
  readonly isLive: boolean;
}

interface Flags {
  readonly controlNet?: readonly string[] | undefined;
  readonly t2iAdapter?: readonly string[] | undefined;
  readonly controlCache?: 'hold' | 'live' | undefined;
}

/** Counts networks by their configurations, or by the shapes in a single file. */
export async function countBeside(
  { controlNet = [], t2iAdapter = [], controlCache = 'hold' }: Flags,
  unet: Readonly<JsonObject>,
  size: UnetSize,
  scale: number,
  signal: AbortSignal,
): Promise<BesideUnet> {
  const controlNets: CountedControlNet[] = [];
  for (const place of controlNet) {
    const text = await configOf(place, () => findControlNet(place, { unet, signal }));
    const plan = await finish(() => native().planUnet(text, size), signal);
    if (!plan.once) throw invalidConfig(place, 'is of a U-Net, not of a ControlNet');
    controlNets.push({ name: stemOf(place), plan });
  }
  const t2iAdapters: CountedT2IAdapter[] = [];
  for (const place of t2iAdapter) {
    const text = await configOf(place, () => findT2IAdapter(place, { signal }));
    const { height, width } = size;
    const pixels = { batch: 1, height: height * scale, width: width * scale };
    t2iAdapters.push({ name: stemOf(place), ...native().planT2iAdapter(text, pixels) });
  }
  return { controlNets, t2iAdapters, isLive: controlCache === 'live' };
}

async function configOf(place: string, find: () => Promise<NetworkFiles>): Promise<string> {
  if (!isFolder(place))
    return place.endsWith('.json') ? (await readJson(place)).text : (await find()).configText;
  const path = join(place, 'config.json');
  if (!existsSync(path)) throw invalidConfig(place, 'has no config.json');
  return (await readJson(path)).text;
}
