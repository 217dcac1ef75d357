import { invalidArgument } from '../../errors.js';
import { defaultLog } from '../../log.js';
import { shorten } from '../../messages.js';
import { AutoencoderKL } from '../../models/autoencoder-kl.js';
import { unknownFields } from '../../models/known-fields.js';
import type { NetworkFiles } from '../../models/model-files.js';
import type { NativeBackend } from '../../native/types.js';
import { latentsOfVae } from './facts.js';
import type { LoadOptions, ModelIndex } from './parts.js';
import type { Keep } from './together.js';

/**
 * Looks at the autoencoder that previews are decoded by, without its weights.
 *
 * @returns its files; undefined where the options name none.
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT where it is another network, or one for other latents.
 */
export async function findPreviewVae(
  { previewVae: found, source }: ModelIndex,
  { log = defaultLog, variant, signal }: LoadOptions,
): Promise<NetworkFiles | undefined> {
  if (!found) return undefined;
  if (!source.hasJson('vae/config.json'))
    throw invalidArgument('previewVae', `decodes latents, which ${source.place} has none of`);
  const own = await source.json('vae/config.json', { signal });
  const files = await found.network(async () => own, { variant, signal, log });
  const { _class_name: kind } = files.config;
  if (typeof kind === 'string' && !/Autoencoder|VQModel/.test(kind))
    throw invalidArgument('previewVae', `is ${found.place}, a ${shorten(kind)}, which is no autoencoder`);
  const [{ channels, scale }, wanted] = [latentsOfVae(files.config), latentsOfVae(own.value)];
  const refuse = (what: string, has: number, wanted: number) =>
    invalidArgument(
      'previewVae',
      `is ${found.place}, an autoencoder of ${has} ${what}; that of ${source.place} has ${wanted}`,
    );
  if (channels !== wanted.channels) throw refuse('latent channels', channels, wanted.channels);
  if (scale !== wanted.scale) throw refuse('pixels for each latent one', scale, wanted.scale);
  return files;
}

/** Loads it, see {@link findPreviewVae}. To be called before the model's own parts are loaded. */
export async function loadPreviewVae(
  backend: NativeBackend,
  index: ModelIndex,
  options: LoadOptions,
  keep: Keep,
): Promise<AutoencoderKL | undefined> {
  const { log = defaultLog, signal } = options;
  const files = await findPreviewVae(index, options);
  if (!files) return undefined;
  // A tiny one has no activations that fp16 could not hold.
  const upcast = files.config._class_name !== 'AutoencoderTiny';
  const vae = await keep(AutoencoderKL.load(backend, files, { signal, upcast }));
  for (const message of unknownFields(vae.config)) log(`${files.configFile}: ${message}`);
  return vae;
}
