import { type Upscale, Upscaler } from '../../index.js';
import type { AnyPipeline } from '../../pipelines/diffusion-pipeline.js';

type Options = Readonly<Record<string, unknown>>;

/** The networks that enlarge pictures on a device, which stay loaded once a job has used them. */
export class UpscalerPool {
  readonly #loaded = new Map<string, Promise<Upscaler>>();

  /** @param files by the names that jobs use. */
  constructor(private readonly files: Readonly<Record<string, string>>) {}

  /** A job's options with networks in the place of their names; what is no name stays as it is. */
  async resolve(options: Options, pipe: AnyPipeline): Promise<Options> {
    const { upscale, hiresFix } = options as {
      readonly upscale?: string | Upscale;
      readonly hiresFix?: { readonly upscaler?: unknown };
    };
    const given = typeof upscale === 'string' ? { upscaler: upscale } : upscale;
    const [last, between] = [await this.#of(given?.upscaler, pipe), await this.#of(hiresFix?.upscaler, pipe)];
    return {
      ...options,
      ...(last && { upscale: { ...given, upscaler: last } }),
      ...(between && { hiresFix: { ...hiresFix, upscaler: between } }),
    };
  }

  async close(): Promise<void> {
    for (const one of this.#loaded.values()) (await one.catch(() => undefined))?.dispose();
    this.#loaded.clear();
  }

  #of(name: unknown, { device }: AnyPipeline): Promise<Upscaler> | undefined {
    if (typeof name !== 'string' || !Object.hasOwn(this.files, name)) return undefined;
    let loading = this.#loaded.get(name);
    if (!loading) {
      loading = Upscaler.fromPretrained(this.files[name] as string, { device, label: name } as object);
      this.#loaded.set(name, loading);
      loading.catch(() => this.#loaded.delete(name));
    }
    return loading;
  }
}
