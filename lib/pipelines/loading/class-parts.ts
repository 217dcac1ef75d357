import { join } from 'node:path';
import { invalidConfig } from '../../errors.js';
import { readJson } from '../../files/json.js';
import { AutoencoderKL } from '../../models/autoencoder-kl.js';
import { ClassEmbedder } from '../../models/class-embedder.js';
import { findModel } from '../../models/model-files.js';
import { LatentUNetModel } from '../../models/unconditional-unets.js';
import { openBackend } from '../../native/device.js';
import { LatentDDIMScheduler, type Scheduler } from '../../schedulers/index.js';
import { factsOfUnet } from './folder-facts.js';
import type { ClassParts, FolderFacts, LoadOptions, ModelIndex } from './parts.js';
import { chooseScheduler } from './scheduler-file.js';
import { loadTogether } from './together.js';

/** Looks at a latent diffusion checkpoint's configuration. */
export async function readClassFacts(
  { folder }: ModelIndex,
  { scheduler: choice, signal }: LoadOptions,
): Promise<FolderFacts> {
  const { value } = await readJson(join(folder, 'config.json'), { signal });
  const { scheduler, classes } = readConfig(folder, value);
  return {
    // The last class stands for none.
    facts: { ...factsOfUnet(value), classes: classes - 1 },
    scheduler: choice ? chooseScheduler(choice, scheduler) : scheduler,
  };
}

/** Loads a latent diffusion checkpoint. What was loaded before an error is freed. */
export async function loadClassParts({ folder }: ModelIndex, options: LoadOptions): Promise<ClassParts> {
  const { variant, signal } = options;
  const backend = openBackend(options);
  const { config, files } = await findModel(folder, 'model', { variant, signal });
  const read = readConfig(folder, config);
  const scheduler = options.scheduler ? chooseScheduler(options.scheduler, read.scheduler) : read.scheduler;
  const classes = ClassEmbedder.load(files, read);
  const load = { variant, signal, stem: 'model' };
  return loadTogether(async (keep, models) => {
    const unet = await keep(LatentUNetModel.load(backend, folder, load));
    const vae = await keep(AutoencoderKL.load(backend, folder, load));
    return { backend, scheduler, unet, vae, classes, models };
  });
}

function readConfig(
  folder: string,
  config: Readonly<Record<string, unknown>>,
): { scheduler: Scheduler; classes: number; width: number } {
  const params = section(folder, config, 'params');
  const condition = section(folder, params, 'cond_stage_config');
  if (!String(condition.target).endsWith('.ClassEmbedder')) {
    throw invalidConfig(
      folder,
      `is conditioned by ${String(condition.target)}; only ClassEmbedder is supported`,
    );
  }
  const embedder = section(folder, condition, 'params');
  const [classes, width] = [embedder.n_classes ?? 1000, embedder.embed_dim].map((value) => {
    if (typeof value === 'number' && Number.isInteger(value) && value > 0) return value;
    throw invalidConfig(folder, 'needs whole numbers n_classes and embed_dim in cond_stage_config');
  }) as [number, number];
  const scheduler = new LatentDDIMScheduler({
    beta_start: params.linear_start ?? 0.0001,
    beta_end: params.linear_end ?? 0.02,
    num_train_timesteps: params.timesteps ?? 1000,
  });
  return { scheduler, classes, width };
}

function section(
  folder: string,
  config: Readonly<Record<string, unknown>>,
  name: string,
): Readonly<Record<string, unknown>> {
  const value = config[name];
  if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  throw invalidConfig(folder, `lacks "${name}" in its config.json`);
}
