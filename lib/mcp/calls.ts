import { DeepCacheError, invalidArgument } from '../errors.js';
import { maskOfAlpha } from '../images/alpha-mask.js';
import type { Image } from '../images/image.js';
import { psnr } from '../metrics/index.js';
import { checkNames } from '../names.js';
import { drawSeed } from '../pipelines/inputs/seeds.js';
import type { ImageResult } from '../pipelines/outputs/result.js';
import type { ImageEngine } from '../server/engine/index.js';
import { toRequest, type Wanted } from '../server/http/jobs/request.js';
import { type Limits, resolveLimits } from '../server/http/limits.js';
import type { SessionPictures } from './pictures.js';
import { TOOLS, type ToolName } from './tools.js';

/** What a tool answers with. */
export type Content = { type: 'text'; text: string } | { type: 'image'; data: string; mimeType: string };

/** What comes with a call. */
export interface Surroundings {
  readonly engine: ImageEngine;
  readonly pictures: SessionPictures;
  /** Aborts when the client no longer wants it. */
  readonly signal: AbortSignal;
  /** Is told how far it is. */
  onProgress(done: number, total: number): void;
}

type Arguments = Readonly<Record<string, unknown>>;

/**
 * Does what a language model asks for.
 *
 * @throws DeepCacheError in words that it can act on.
 */
export async function callTool(name: string, given: Arguments, around: Surroundings): Promise<Content[]> {
  const tool = TOOLS.find((one) => one.name === name);
  if (!tool)
    throw invalidArgument(
      'name',
      `is ${JSON.stringify(name)}; there are ${TOOLS.map((one) => one.name).join(', ')}`,
    );
  checkNames(given, Object.keys(tool.inputSchema.properties));
  return CALLS[tool.name](given, around);
}

const CALLS: { readonly [Name in ToolName]: (given: Arguments, around: Surroundings) => Promise<Content[]> } =
  {
    async list_models(_, { engine }) {
      const lines = engine.models().map(({ name }) => name);
      return [{ type: 'text', text: lines.join('\n') }];
    },

    async generate_image({ model, cache, ...options }, around) {
      const result = await make(
        { model: modelOf(model, around), options: { ...options, ...cacheOf(cache) } },
        around,
      );
      return shown(result, around.pictures);
    },

    async edit_image({ model, cache, image, mask, ...options }, around) {
      const picture = await around.pictures.find('image', textOf('image', image));
      const painted =
        mask === undefined ? undefined : await around.pictures.find('mask', textOf('mask', mask));
      const wanted = {
        ...{ model: modelOf(model, around), image: picture, options: { ...options, ...cacheOf(cache) } },
        mask: painted && ((await maskOfAlpha(painted, limits.inputPixels)) ?? painted),
      };
      return shown(await make(wanted, around), around.pictures);
    },

    async compare_cache({ model, settings = ['quality', 'balanced', 'fast'], seed, ...options }, around) {
      if (!Array.isArray(settings)) throw invalidArgument('settings', 'must be a list of presets');
      const common = { ...options, seed: seed ?? drawSeed() };
      const runs = ['off', ...settings].map((cache) => ({ ...common, ...cacheOf(cache) }));
      const contents: Content[] = [];
      let reference: Image | undefined;
      for (const [i, run] of runs.entries()) {
        const onProgress = (done: number, total: number) =>
          around.onProgress(i * total + done, runs.length * total);
        const { images, stats } = await make(
          { model: modelOf(model, around), options: run },
          { ...around, onProgress },
        );
        const [image] = images;
        reference ??= image;
        const name = i === 0 ? 'without the cache' : `cache ${settings[i - 1]}`;
        const apart = i === 0 ? '' : `, ${psnr(image, reference).toFixed(1)} dB PSNR from the one without`;
        const speed = `denoised in ${stats.times.denoise.toFixed(2)} s, ${stats.speedup.toFixed(2)} times as fast as in full`;
        contents.push(
          { type: 'text', text: `${name}: seed ${common.seed}, ${speed}${apart}` },
          await contentOf(image),
        );
      }
      return contents;
    },
  };

const limits: Limits = resolveLimits();

/** Runs a job; it is cancelled with the call. */
async function make(wanted: Wanted, { engine, signal, onProgress }: Surroundings): Promise<ImageResult> {
  const { request } = await toRequest(wanted, limits, {}, signal);
  const job = await engine.submit(request);
  const cancel = () => job.cancel();
  signal.addEventListener('abort', cancel, { once: true });
  if (signal.aborted) cancel();
  try {
    for await (const event of job.events()) if (event.type === 'step') onProgress(event.call, event.calls);
    return (await job.result) as ImageResult;
  } finally {
    signal.removeEventListener('abort', cancel);
  }
}

async function shown(result: ImageResult, pictures: SessionPictures): Promise<Content[]> {
  const contents: Content[] = [];
  for (const [i, image] of result.images.entries()) {
    const seed = result.seeds[i] ?? result.seeds[0];
    const text = `${pictures.add(image)}: ${image.width}x${image.height}, seed ${seed}`;
    contents.push({ type: 'text', text }, await contentOf(image));
  }
  for (const note of result.notes) contents.push({ type: 'text', text: note });
  return contents;
}

async function contentOf(image: Image): Promise<Content> {
  return { type: 'image', data: (await image.toBuffer('png')).toString('base64'), mimeType: 'image/png' };
}

function modelOf(model: unknown, { engine }: Surroundings): string {
  const names = engine.models().map(({ name }) => name);
  if (model === undefined) return names[0] as string;
  if (names.includes(model as string)) return model as string;
  throw new DeepCacheError('ERR_DEEPCACHE_INVALID_ARGUMENT', `model must be one of ${names.join(', ')}`);
}

function textOf(name: string, value: unknown): string {
  if (typeof value === 'string') return value;
  throw invalidArgument(name, 'must be a text');
}

/** 'off' is its word for none, which may not be what the model has where nothing is said. */
const cacheOf = (cache: unknown) => (cache === undefined ? {} : { cache: cache === 'off' ? false : cache });
