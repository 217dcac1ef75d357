import type { T2IAdapters } from './t2i-adapters.js';
import { scalesOf, type T2IOptions } from './t2i-pictures.js';

/** What a picture's settings say of its T2I-Adapters. */
export function t2iFields(
  adapters: T2IAdapters | undefined,
  { t2iAdapterImage, t2iAdapterScale = 1, t2iAdapterFactor = 1 }: T2IOptions,
): Readonly<Record<string, unknown>> {
  if (t2iAdapterImage === undefined || !adapters) return {};
  const { labels } = adapters;
  const scales = scalesOf(t2iAdapterScale, labels.length);
  return {
    'T2I-Adapters': JSON.stringify(labels.map((file, i) => ({ file, scale: scales[i] }))),
    'T2I-Adapter factor': t2iAdapterFactor !== 1 && String(t2iAdapterFactor),
  };
}
