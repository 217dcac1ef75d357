import type { Upscale } from './option.js';
import { USUAL_PAD, USUAL_TILE } from './tiles.js';

// What pictures were enlarged by in settings, in the words of the web UI.

/** The fields of {@link upscaleFields}. */
export const UPSCALE_FIELDS = [
  'Postprocess upscaler',
  'Postprocess upscale by',
  'Postprocess upscale to',
  'Postprocess tiles',
] as const;

type Fields = Readonly<Partial<Record<(typeof UPSCALE_FIELDS)[number], string | number>>>;

/** @param own the network's factor. */
export function upscaleFields(
  { upscaler, scale, width, height, tile, tilePad }: Upscale,
  own: number,
): Fields {
  const isTiled = tile !== undefined || tilePad !== undefined;
  return {
    'Postprocess upscaler': typeof upscaler === 'string' ? upscaler : upscaler.label,
    ...(width === undefined
      ? { 'Postprocess upscale by': scale ?? own }
      : { 'Postprocess upscale to': `${width}x${height}` }),
    ...(isTiled && { 'Postprocess tiles': `${tile ?? USUAL_TILE} pad ${tilePad ?? USUAL_PAD}` }),
  };
}

/** The option that fields of our own pictures stand for; undefined where there are none. What they say is not checked. */
export function upscaleOfFields(fields: Readonly<Record<string, string>>): Upscale | undefined {
  const upscaler = fields['Postprocess upscaler'];
  // Networks of other programs go by names that say nothing about their files.
  if (upscaler === undefined || fields.Version?.startsWith('deepcache ') !== true) return undefined;
  const [width, height] = (fields['Postprocess upscale to'] ?? '').split('x').map(Number);
  const [tile, tilePad] = (fields['Postprocess tiles'] ?? '').split(' pad ').map(Number);
  return {
    upscaler,
    ...(width !== undefined && height !== undefined
      ? { width, height }
      : { scale: Number(fields['Postprocess upscale by']) }),
    ...(tile !== undefined && tilePad !== undefined && { tile, tilePad }),
  };
}
