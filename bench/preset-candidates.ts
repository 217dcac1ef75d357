import { type CacheOptions, type CachePreset, lateList } from '../lib/deepcache/index.js';

/** What a candidate of bench/preset-cells.ts is in a run of so many U-Net calls. */
export function candidateOf(preset: string, text: string, calls: number): CacheOptions {
  if (text === 'preset') return preset as CachePreset;
  const given = Object.fromEntries(text.split(',').map((part) => part.split('='))) as Record<string, string>;
  const { interval, list, power = '1', damping = '0' } = given;
  const featureDamping = Number(damping);
  const features = featureDamping > 0 ? { featureDamping } : {};
  if (interval !== undefined) return { interval: Number(interval), branch: 0, ...features };
  const steps = lateList(calls, Math.ceil(calls / Number(list)), Number(power));
  return { steps, branch: 0, ...features };
}
