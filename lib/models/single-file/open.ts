import { PUBLISHED, type PublishedModel, type PublishedName } from '../../configs/published.js';
import { invalidArgument, invalidConfig } from '../../errors.js';
import type { JsonObject } from '../../files/json.js';
import { isFolder } from '../../files/read.js';
import { readYaml } from '../../files/yaml.js';
import { FolderSource } from '../folder-source.js';
import { type Overrides, overriddenParts } from '../overridden-source.js';
import type { PartSource } from '../part-source.js';
import { Checkpoint } from './checkpoint.js';
import { firstShape, kindOf } from './kind.js';
import { isOriginal, openOriginal } from './original-source.js';
import { isYaml, predictionOf, readSidecar, type Sidecar, sampleSizeOf } from './sidecar.js';
import { SingleFileSource } from './single-file-source.js';

export interface SingleFileOptions extends Overrides {
  config?: string | undefined;
  useEma?: boolean | undefined;
  signal?: AbortSignal | undefined;
}

/** A source of parts, and what the log should hear of it. */
export interface OpenedFile {
  readonly source: PartSource;
  readonly remarks: readonly string[];
}

const SCHEDULER = 'scheduler/scheduler_config.json';

/**
 * Looks at a checkpoint in a single file: which published model it is like, and what the files beside it say.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_WEIGHTS for a damaged file, ERR_DEEPCACHE_UNSUPPORTED naming a model that
 * no pipeline computes, ERR_DEEPCACHE_INVALID_CONFIG for a file that is no model, ERR_DEEPCACHE_INVALID_ARGUMENT naming
 * an option.
 */
export async function openSingleFile(file: string, options: SingleFileOptions = {}): Promise<OpenedFile> {
  const { signal, useEma = false } = options;
  const checkpoint = await Checkpoint.open(file, { signal });
  if (useEma && !checkpoint.hasPrefix('model_ema.')) {
    throw invalidArgument('useEma', `is set, and ${file} has no averaged weights (model_ema.)`);
  }
  const { given, sidecar } = await readDescriptions(file, options);
  const own = checkpoint.remark === undefined ? [] : [`${file} ${checkpoint.remark}`];
  if (isOriginal(checkpoint))
    return { source: await openOriginal(checkpoint, { given, sidecar, useEma, signal }), remarks: own };
  const kind = kindOf(checkpoint, given !== undefined);
  const told = describe(checkpoint, kind, { given, sidecar });
  const index = given?.hasJson('model_index.json')
    ? (await given.json('model_index.json', { signal })).value
    : told.published?.files['model_index.json'];
  if (!index) {
    throw invalidConfig(
      file,
      'is a single file, and like no published checkpoint of the Stable Diffusion family: give its configuration by the option config (--config)',
    );
  }
  if (!given && told.published) requireSize(checkpoint, told.published);
  const supplied = overriddenParts(options);
  const source = new SingleFileSource(checkpoint, { given, ...told }, index, { useEma, supplied });
  return { source, remarks: [...own, ...told.remarks.map((text) => `${file}: ${text}`)] };
}

/** The folder that the option names, and the training configuration that it names or that lies beside the file. */
async function readDescriptions(file: string, { config, signal }: SingleFileOptions): Promise<Described> {
  if (config === undefined) return { sidecar: await readSidecar(file, signal) };
  if (isYaml(config)) return { sidecar: { path: config, value: await readYaml(config, { signal }) } };
  if (!isFolder(config)) throw invalidArgument('config', `must be a folder or a .yaml file, got ${config}`);
  return { given: new FolderSource(config), sidecar: await readSidecar(file, signal) };
}

interface Described {
  given?: PartSource | undefined;
  sidecar?: Sidecar | undefined;
}

interface Told {
  published: PublishedModel | undefined;
  changes: Record<string, JsonObject>;
  remarks: string[];
}

/** What a checkpoint is like, with what its marker tensors and its training configuration say. */
function describe(
  checkpoint: Checkpoint,
  kind: PublishedName | undefined,
  { given, sidecar }: Described,
): Told {
  const remarks: string[] = [];
  const changes: Record<string, JsonObject> = {};
  // Empty tensors that finetunes of SDXL carry.
  const marked = checkpoint.has('v_pred');
  const said = marked ? 'v_prediction' : sidecar && predictionOf(sidecar);
  let published: PublishedModel | undefined = kind && PUBLISHED[kind];
  if (kind === 'sd2' && said === 'epsilon') published = PUBLISHED['sd2-base'];
  if (kind === 'sd2' && said === undefined && !given) {
    remarks.push(
      'Stable Diffusion 2 for 768 pixels, which predicts v, is assumed: weights do not tell it from the base model. For ' +
        'that, have a .yaml file beside it, or give the scheduler { prediction_type: "epsilon" } and 512 pixels',
    );
  }
  if (said !== undefined) {
    changes[SCHEDULER] = { prediction_type: said };
    const from = marked ? 'its tensor v_pred' : (sidecar?.path as string);
    if (said === 'v_prediction') remarks.push(`predicts v, by ${from}`);
  }
  if (checkpoint.has('ztsnr')) {
    // Without the last timestep, which trailing spacing begins with, there is nothing of it.
    const zero = { rescale_betas_zero_snr: true, timestep_spacing: 'trailing' };
    changes[SCHEDULER] = { ...changes[SCHEDULER], ...zero };
    remarks.push('has zero terminal SNR, by its tensor ztsnr');
  }
  const size = sidecar && sampleSizeOf(sidecar);
  if (size !== undefined && !given) changes['unet/config.json'] = { sample_size: size };
  return { published, changes, remarks };
}

/** A finetune has the sizes of what it was made of; anything else has a configuration of its own. */
function requireSize(checkpoint: Checkpoint, { title, files }: PublishedModel): void {
  const [own] = firstShape(checkpoint) ?? [];
  const [width] = (files['unet/config.json']?.block_out_channels ?? []) as number[];
  if (own === width) return;
  throw invalidConfig(
    checkpoint.path,
    `is like ${title}, but its U-Net is ${own} channels wide, not ${width}: give its configuration by the option ` +
      'config (--config), a folder',
  );
}
