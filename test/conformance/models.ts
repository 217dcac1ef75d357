import { join } from 'node:path';
import { ControlNetModel } from '../../lib/control/controlnet-model.js';
import { findControlNet } from '../../lib/control/find.js';
import { DeepCacheError } from '../../lib/errors.js';
import { type JsonObject, readJson } from '../../lib/files/json.js';
import * as deepcache from '../../lib/index.js';
import { AutoencoderKL } from '../../lib/models/autoencoder-kl.js';
import { FolderSource } from '../../lib/models/folder-source.js';
import { CLIPVisionModelWithProjection } from '../../lib/models/image-encoder.js';
import type { NetworkFiles } from '../../lib/models/model-files.js';
import { readMotionAdapter, withMotion } from '../../lib/models/motion-adapter.js';
import { CLIPTextModel } from '../../lib/models/text-encoder.js';
import { UNet2DConditionModel } from '../../lib/models/unet.js';
import { UNetMotionModel } from '../../lib/models/unet-motion.js';
import { type DeviceOptions, openBackend } from '../../lib/native/device.js';

/** A pipeline of the Stable Diffusion family; which one is decided by the goldens. */
export type Pipeline = deepcache.StableDiffusionPipeline;

interface Disposable {
  dispose(): void | Promise<void>;
}

/** Loads models on first use and keeps them until `dispose`. */
export class Models {
  readonly #loading = new Map<string, Promise<unknown>>();

  /** @param placeOf a folder's own place, for models that stand in for others. */
  constructor(
    readonly options: DeviceOptions,
    private readonly placeOf: (folder: string) => string | Promise<string> = (folder) => folder,
  ) {}

  /**
   * A pipeline of the class that diffusers has under the name, by default the one that the folder's model_index.json
   * names. Throws ERR_DEEPCACHE_UNSUPPORTED for a class that the package does not export.
   *
   * @param parts folders with another autoencoder, or with motion modules.
   */
  async pipeline(
    folder: string,
    className?: string,
    parts: Readonly<Partial<Record<'vae' | 'motionAdapter', string>>> = {},
  ): Promise<Pipeline> {
    const name = className ?? String((await readJson(join(folder, 'model_index.json'))).value._class_name);
    return this.once(`${name} ${folder} ${JSON.stringify(parts)}`, async () => {
      const others = Object.entries(parts).map(async ([part, place]) => [part, await this.placeOf(place)]);
      const options = { ...this.loadOptions(), ...Object.fromEntries(await Promise.all(others)) };
      return pipelineClass(name).fromPretrained(await this.placeOf(folder), options);
    });
  }

  /** A pipeline of a folder in its own layout, without a model_index.json. */
  // biome-ignore lint/suspicious/noExplicitAny: pipelines differ in their options and parts
  original<T extends deepcache.DiffusionPipeline<any, any>>(folder: string): Promise<T> {
    const load = async () =>
      deepcache.DiffusionPipeline.fromPretrained(await this.placeOf(folder), this.loadOptions());
    return this.once(`original ${folder}`, load as () => Promise<deepcache.DiffusionPipeline>) as Promise<T>;
  }

  /** @param stem of the weight file; diffusers' own by default. */
  unet(folder: string, stem?: string): Promise<UNet2DConditionModel> {
    return this.#part(folder, 'unet', stem, (found) => UNet2DConditionModel.load(this.backend(), found));
  }

  /** @param adapter the folder of the motion modules beside the U-Net's. */
  motionUnet(folder: string, adapter: string): Promise<UNetMotionModel> {
    return this.once(`${folder} with ${adapter}`, async () => {
      const place = await this.placeOf(folder);
      const unet = await new FolderSource(join(place, 'unet')).network('');
      const motion = await readMotionAdapter(join(place, adapter));
      return UNetMotionModel.load(this.backend(), await withMotion(unet, motion));
    });
  }

  /** A ControlNet beside the U-Net of a model. */
  async controlNet(place: string, beside: UNet2DConditionModel): Promise<ControlNetModel> {
    return this.once(`${place} beside ${beside.native.device}`, async () =>
      ControlNetModel.load(
        this.backend(),
        await findControlNet(await this.placeOf(place), { unet: beside.config as JsonObject }),
        {
          beside: beside.native,
        },
      ),
    );
  }

  vae(folder: string): Promise<AutoencoderKL> {
    return this.#part(folder, 'vae', undefined, (found) => AutoencoderKL.load(this.backend(), found));
  }

  upscaler(file: string, activation?: string): Promise<deepcache.Upscaler> {
    const own = activation === 'leakyrelu' ? { activation } : {};
    return this.once(file, () =>
      deepcache.Upscaler.fromPretrained(file, { ...this.options, ...own } as object),
    );
  }

  textEncoder(folder: string, subfolder: string): Promise<CLIPTextModel> {
    return this.#part(folder, subfolder, undefined, (found) => CLIPTextModel.load(this.backend(), found));
  }

  /** @param folder its own. */
  imageEncoder(folder: string): Promise<CLIPVisionModelWithProjection> {
    return this.#part(folder, '', 'model', (found) =>
      CLIPVisionModelWithProjection.load(this.backend(), found),
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  /** Frees everything that was loaded. */
  async dispose(): Promise<void> {
    const loaded = await Promise.allSettled(this.#loading.values());
    this.#loading.clear();
    for (const model of loaded) {
      if (model.status === 'fulfilled') await (model.value as Disposable).dispose();
    }
  }

  /** The device that everything is loaded on. */
  backend() {
    return openBackend(this.options);
  }

  protected loadOptions() {
    return { ...this.options, log: () => {} };
  }

  #part<T extends Disposable>(
    folder: string,
    part: string,
    stem: string | undefined,
    load: (found: NetworkFiles) => Promise<T>,
  ): Promise<T> {
    const path = join(folder, part);
    return this.once(path, async () => {
      const source = new FolderSource(await this.placeOf(path));
      return load(await source.network('', { stem: stem ?? (/encoder/.test(part) ? 'model' : undefined) }));
    });
  }

  protected once<T extends Disposable>(key: string, load: () => Promise<T>): Promise<T> {
    const known = this.#loading.get(key) ?? Promise.resolve().then(load);
    this.#loading.set(key, known);
    return known as Promise<T>;
  }
}

/** A class by diffusers' name. */
export function pipelineClass(name: string): typeof deepcache.StableDiffusionPipeline {
  const exported = (deepcache as Readonly<Record<string, unknown>>)[name];
  if (typeof exported === 'function' && exported.prototype instanceof deepcache.DiffusionPipeline) {
    return exported as typeof deepcache.StableDiffusionPipeline;
  }
  throw new DeepCacheError('ERR_DEEPCACHE_UNSUPPORTED', `there is no pipeline ${name}`);
}
