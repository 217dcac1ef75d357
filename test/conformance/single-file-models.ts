import * as deepcache from '../../lib/index.js';
import { AutoencoderKL } from '../../lib/models/autoencoder-kl.js';
import type { PartSource } from '../../lib/models/part-source.js';
import { CLIPTextModel } from '../../lib/models/text-encoder.js';
import { UNet2DConditionModel } from '../../lib/models/unet.js';
import { readModelIndex } from '../../lib/pipelines/loading/model-index.js';
import { Models, type Pipeline, pipelineClass } from './models.js';

/** Where a single file's own parts and others are. */
export interface SingleFile {
  readonly file: string;
  /** The folder with its configurations. */
  readonly config: string;
  readonly vae?: string;
  readonly textEncoder?: string;
  readonly useEma?: boolean;
}

/** The models of a single file, whatever folder is asked for. */
export class SingleFileModels extends Models {
  constructor(
    private readonly place: SingleFile,
    options: ConstructorParameters<typeof Models>[0] = { device: 'cpu' },
  ) {
    super(options);
  }

  override async pipeline(_: string, className?: string): Promise<Pipeline> {
    const { file, ...options } = this.place;
    const pipeline = className === undefined ? deepcache.DiffusionPipeline : pipelineClass(className);
    return this.once(`pipeline ${className}`, () =>
      pipeline.fromPretrained(file, { ...this.loadOptions(), ...options }),
    ) as Promise<Pipeline>;
  }

  override unet(): Promise<UNet2DConditionModel> {
    return this.once('unet', async () =>
      UNet2DConditionModel.load(this.backend(), await (await this.#source()).network('unet')),
    );
  }

  override vae(): Promise<AutoencoderKL> {
    return this.once('vae', async () =>
      AutoencoderKL.load(this.backend(), await (await this.#source()).network('vae')),
    );
  }

  override textEncoder(_: string, part: string): Promise<CLIPTextModel> {
    return this.once(part, async () =>
      CLIPTextModel.load(this.backend(), await (await this.#source()).network(part)),
    );
  }

  async #source(): Promise<PartSource> {
    const { file, ...options } = this.place;
    return (await readModelIndex(file, options)).source;
  }
}
