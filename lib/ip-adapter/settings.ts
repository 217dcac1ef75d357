import type { ImagePromptOptions } from './image-prompts.js';
import type { IpAdapters } from './ip-adapters.js';

/** What a picture's settings say of the pictures that prompted it. */
export function imagePromptSettings(
  adapters: IpAdapters | undefined,
  { ipAdapterImage, ipAdapterImageEmbeds, ipAdapterScale = 1 }: ImagePromptOptions,
): Readonly<Record<string, unknown>> {
  if (!adapters || (ipAdapterImage === undefined && ipAdapterImageEmbeds === undefined)) return {};
  const { list } = adapters;
  return {
    'IP-Adapters': list.map(({ name }) => name).join(', '),
    'IP-Adapter files': list.map(({ file }) => file).join(', '),
    'IP-Adapter hashes': list.map(({ name, hash }) => `${name}: ${hash}`).join(', '),
    'IP-Adapter scale': JSON.stringify(ipAdapterScale),
    'IP-Adapter image': ipAdapterImage === undefined ? 'encoded' : JSON.stringify(namesOf(ipAdapterImage)),
  };
}

/** Paths as they are; pixels have no name. */
function namesOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(namesOf);
  return typeof value === 'string' && !value.startsWith('data:') && value.length < 1000 ? value : 'pixels';
}
