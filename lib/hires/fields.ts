import type { InterpolationMode } from '../images/interpolate.js';
import type { HiresFix } from './options.js';

// The second pass in settings, in the words of the web UI.

/** What it calls kinds of interpolation. */
const LATENT: readonly (readonly [name: string, upscaler: InterpolationMode, antialias: boolean])[] = [
  ['Latent', 'bilinear', false],
  ['Latent (antialiased)', 'bilinear', true],
  ['Latent (bicubic)', 'bicubic', false],
  ['Latent (bicubic antialiased)', 'bicubic', true],
  ['Latent (nearest)', 'nearest', false],
  ['Latent (nearest-exact)', 'nearest-exact', false],
  ['Latent (area)', 'area', false],
];

/** The names of all of them. */
export const LATENT_UPSCALERS: readonly string[] = LATENT.map(([name]) => name);

export const HIRES_FIELDS = [
  'Hires upscale',
  'Hires upscaler',
  'Hires steps',
  'Hires seed',
  'Denoising strength',
] as const;

type Fields = Readonly<Partial<Record<(typeof HIRES_FIELDS)[number], string | number>>>;

/** @param options with their defaults; `upscaler` is a file's path where a network enlarges. */
export function hiresFields(
  { scale, strength, steps, upscaler, antialias = false }: HiresFix,
  seed: bigint | number,
): Fields {
  const latent = LATENT.find(([, mode, smooth]) => mode === upscaler && smooth === antialias);
  const name = latent?.[0] ?? (typeof upscaler === 'string' ? upscaler : upscaler?.label);
  return {
    'Denoising strength': strength ?? 0,
    'Hires upscale': scale ?? 0,
    'Hires upscaler': name ?? '',
    ...(steps !== undefined && { 'Hires steps': steps }),
    'Hires seed': String(seed),
  };
}

/** The option that fields stand for; undefined where there was no second pass. */
export function hiresFixOf(fields: Readonly<Record<string, string>>): HiresFix | undefined {
  const scale = Number(fields['Hires upscale']);
  const upscaler = fields['Hires upscaler'];
  if (!(scale > 1) || upscaler === undefined) return undefined;
  const latent = LATENT.find(([name]) => name === upscaler);
  // Networks of other programs go by names that say nothing about their files.
  if (!latent && fields.Version?.startsWith('deepcache ') !== true) return undefined;
  const steps = Number(fields['Hires steps'] ?? 0);
  const seed = fields['Hires seed'];
  return {
    scale,
    strength: Number(fields['Denoising strength'] ?? 0.7),
    ...(steps > 0 && { steps }),
    ...(latent ? { upscaler: latent[1], ...(latent[2] && { antialias: true }) } : { upscaler }),
    ...(seed !== undefined && /^-?\d{1,20}$/.test(seed) && { seed: BigInt(seed) }),
  };
}
