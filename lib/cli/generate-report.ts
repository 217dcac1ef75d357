import type { GenerateResult } from '../pipelines/outputs/result.js';
import { formatBytes, formatSeconds } from './format.js';

/** What a run of `deepcache generate` made. */
export interface GenerateReport {
  model: string;
  device: string;
  files: readonly string[];
  /** Seconds until the model was loaded. */
  loading: number;
  result: GenerateResult;
}

export function textReport({ files, loading, device, result }: GenerateReport): string {
  const { stats, seeds, images } = result;
  const { times, memory } = stats;
  const each = files.map((file, i) => {
    const seed = seeds.length === 1 ? seeds[0] : seeds[i];
    return `${file}  ${images[i]?.width}x${images[i]?.height}, seed ${seed}\n`;
  });
  const phases = { load: loading, encode: times.encode, denoise: times.denoise, decode: times.decode };
  const seconds = Object.entries(phases).map(([name, value]) => `${name} ${formatSeconds(value)}`);
  const kinds = [`${stats.fullCalls} full`, `${stats.retrieveCalls} cached`];
  if (stats.predictedCalls > 0) kinds.push(`${stats.predictedCalls} predicted`);
  const steps = `${kinds.join(kinds.length > 2 ? ', ' : ' and ')} steps`;
  const speedup =
    stats.fullCalls < stats.calls ? `, denoising ${stats.speedup.toFixed(2)} times as fast` : '';
  const bytes = memory.weights + memory.arenas + memory.buffers;
  return `${each.join('')}${seconds.join(', ')} on ${device}\n${steps}${speedup}; ${formatBytes(bytes)} of memory\n`;
}

/** Times in seconds, memory in bytes. Seeds are texts: they may have more digits than a JSON number can be trusted with. */
export function jsonReport({ model, device, files, loading, result }: GenerateReport): string {
  const { stats, seeds, settings, notes, images } = result;
  const report = {
    files,
    width: images[0]?.width,
    height: images[0]?.height,
    seeds: seeds.map(String),
    settings,
    model,
    device,
    stats: { ...stats, times: { load: loading, ...stats.times } },
    notes,
  };
  return `${JSON.stringify(report, null, 2)}\n`;
}
