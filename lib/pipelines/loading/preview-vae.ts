import { invalidArgument } from '../../errors.js';
import { defaultLog } from '../../log.js';
import { AutoencoderKL } from '../../models/autoencoder-kl.js';
import { unknownFields } from '../../models/known-fields.js';
import type { NativeBackend } from '../../native/types.js';
import { latentsOfVae } from './facts.js';
import type { LoadOptions, ModelIndex } from './parts.js';
import type { Keep } from './together.js';

/**
 * Loads the autoencoder that previews are decoded by; undefined where the options name none. To be called before the
 * model's own parts are loaded: what does not fit is known by their configurations.
 */
export async function loadPreviewVae(
  backend: NativeBackend,
  { previewVae: found, source }: ModelIndex,
  { log = defaultLog, variant, signal }: LoadOptions,
  keep: Keep,
): Promise<AutoencoderKL | undefined> {
  if (!found) return undefined;
  const own = await source.json('vae/config.json', { signal });
  const files = await found.network(async () => own, { variant, signal, log });
  // A tiny one has no activations that fp16 could not hold.
  const upcast = files.config._class_name !== 'AutoencoderTiny';
  const vae = await keep(AutoencoderKL.load(backend, files, { signal, upcast }));
  const { channels, scale } = latentsOfVae(own.value);
  const refuse = (what: string, has: number, wanted: number) =>
    invalidArgument(
      'previewVae',
      `is ${found.place}, an autoencoder of ${has} ${what}; that of ${source.place} has ${wanted}`,
    );
  if (vae.latentChannels !== channels) throw refuse('latent channels', vae.latentChannels, channels);
  if (vae.scale !== scale) throw refuse('pixels for each latent one', vae.scale, scale);
  for (const message of unknownFields(vae.config)) log(`${files.configFile}: ${message}`);
  return vae;
}
