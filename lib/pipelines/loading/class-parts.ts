import { invalidConfig } from '../../errors.js';
import { AutoencoderKL } from '../../models/autoencoder-kl.js';
import { ClassEmbedder } from '../../models/class-embedder.js';
import type { JsonPart } from '../../models/part-source.js';
import { LatentUNetModel } from '../../models/unconditional-unets.js';
import { openBackend } from '../../native/device.js';
import { LatentDDIMScheduler, type Scheduler } from '../../schedulers/index.js';
import { factsOfUnet } from './folder-facts.js';
import type { ClassParts, FolderFacts, LoadOptions, ModelIndex } from './parts.js';
import { chooseScheduler } from './scheduler-file.js';
import { loadTogether } from './together.js';

/** Looks at a latent diffusion checkpoint's configuration. */
export async function readClassFacts(
  { source }: ModelIndex,
  { scheduler: choice, signal }: LoadOptions,
): Promise<FolderFacts> {
  const { path, value } = await source.json('config.json', { signal });
  const { scheduler, classes } = readConfig(path, value);
  return {
    // The last class stands for none.
    facts: { ...factsOfUnet(value), classes: classes - 1 },
    scheduler: choice ? chooseScheduler(choice, scheduler) : scheduler,
  };
}

/** Loads a latent diffusion checkpoint. What was loaded before an error is freed. */
export async function loadClassParts({ source }: ModelIndex, options: LoadOptions): Promise<ClassParts> {
  const { variant, signal } = options;
  const backend = openBackend(options);
  // All networks are in one file, and have one configuration.
  const found = await source.network('', { variant, signal, stem: 'model' });
  const read = readConfig(found.configFile, found.config);
  const scheduler = options.scheduler ? chooseScheduler(options.scheduler, read.scheduler) : read.scheduler;
  const classes = await ClassEmbedder.load(found.files, { ...read, signal });
  return loadTogether(async (keep, models) => {
    const unet = await keep(LatentUNetModel.load(backend, found, { signal }));
    const vae = await keep(AutoencoderKL.load(backend, found, { signal }));
    return { backend, scheduler, unet, vae, classes, models };
  });
}

function readConfig(
  path: string,
  config: JsonPart['value'],
): { scheduler: Scheduler; classes: number; width: number } {
  const params = section(path, config, 'params');
  const condition = section(path, params, 'cond_stage_config');
  if (!String(condition.target).endsWith('.ClassEmbedder')) {
    throw invalidConfig(
      path,
      `is conditioned by ${String(condition.target)}; only ClassEmbedder is supported`,
    );
  }
  const embedder = section(path, condition, 'params');
  const [classes, width] = [embedder.n_classes ?? 1000, embedder.embed_dim].map((value) => {
    if (typeof value === 'number' && Number.isInteger(value) && value > 0) return value;
    throw invalidConfig(path, 'needs whole numbers n_classes and embed_dim in cond_stage_config');
  }) as [number, number];
  const scheduler = new LatentDDIMScheduler({
    beta_start: params.linear_start ?? 0.0001,
    beta_end: params.linear_end ?? 0.02,
    num_train_timesteps: params.timesteps ?? 1000,
  });
  return { scheduler, classes, width };
}

function section(path: string, config: JsonPart['value'], name: string): Readonly<Record<string, unknown>> {
  const value = config[name];
  if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  throw invalidConfig(path, `lacks "${name}"`);
}
