import type { DownloadProgress } from '../../hub/fetch-model.js';
import { checkRevision, checkToken } from '../../hub/places.js';
import type { Log } from '../../log.js';
import { checkDevice, checkThreads, type Device } from '../../native/device.js';
import { checkMaxPending } from '../../pipelines/call-queue.js';
import * as kinds from '../kinds.js';
import { option } from '../option.js';

/**
 * Types of arithmetic; 'auto' is fp16 on a GPU and fp32 on the CPU. 'bf16' is for nearly all products on the CPU, 'fp8' for most
 * products of U-Nets.
 */
export type Dtype = 'auto' | 'fp32' | 'fp16' | 'bf16' | 'fp8';
/** All of them. */
export const DTYPES = ['auto', 'fp32', 'fp16', 'bf16', 'fp8'] as const satisfies readonly Dtype[];

const families = ['load'] as const;

const paths = kinds.own<string | readonly string[]>('path, or a list', 'texts', (name, value) => {
  for (const one of Array.isArray(value) ? value : [value]) kinds.path.check(name, one, {});
});

/** What loading a model takes. */
export const LOAD_OPTIONS = {
  /** 'auto' (default) takes the first usable GPU, else the CPU. */
  device: option({
    kind: kinds.own<Device>("'auto', 'cpu', 'cuda' or 'cuda:N'", 'text', checkDevice),
    families,
    help: 'where to compute',
    fallback: "'auto'",
    flag: {
      spelling: '--device <name>',
      group: 'model',
      help: 'auto, cpu, cuda or cuda:N; see `deepcache inspect devices` (default: auto)',
    },
  }),
  /** Type of the arithmetic: on the CPU fp32, 'bf16' or 'fp8', on a GPU fp16, 'bf16' or 'fp8'. See DeviceOptions. */
  dtype: option({
    kind: kinds.choice(DTYPES, 'dtype'),
    families,
    help: 'type of the arithmetic; the CPU takes fp32, [bf16](bf16.md) and [fp8](fp8.md), a GPU fp16, bf16 and fp8',
    fallback: "'auto'",
    flag: {
      spelling: '--dtype <type>',
      group: 'model',
      help: 'type of the arithmetic: auto, fp32, fp16, bf16, or fp8 for most products (default: auto)',
    },
  }),
  /** CPU threads; by default one for each core that the process may use. */
  threads: option({
    kind: kinds.own<number>('whole number, 0 to 1024', 'count', checkThreads),
    families,
    help: 'CPU threads',
    fallback: 'all cores',
    flag: { spelling: '--threads <n>', group: 'model' },
  }),
  /** Measures the GPU's fastest tiles in the first run of a size and keeps them; see DeviceOptions. Default false. */
  autotune: option({
    kind: kinds.flag,
    families,
    help: "measure the GPU's fastest tiles and keep them for later runs",
    fallback: 'false',
    flag: { spelling: '--autotune', group: 'model' },
  }),
  /** ControlNets to load with it: a folder or a file, or a list of them; see `loadControlNet`. */
  controlNet: option({
    kind: paths,
    families,
    help: '[ControlNets](controlnet.md) to load with the model',
    flag: { spelling: '--control-net <path>', group: 'model' },
  }),
  /**
   * Motion modules, with which a model of Stable Diffusion 1 makes videos (AnimateDiff): a folder in diffusers' layout, or
   * a file of the authors. The pipeline is an `AnimateDiffPipeline` then.
   */
  motionAdapter: option({
    kind: kinds.path,
    families,
    help: '[motion modules](animatediff.md), with which a model of Stable Diffusion 1 makes videos',
    flag: { spelling: '--motion-adapter <path>', group: 'model' },
  }),
  /** T2I-Adapters to load with it: a folder or a file, or a list of them; see `loadT2IAdapter`. */
  t2iAdapter: option({
    kind: paths,
    families,
    help: '[T2I-Adapters](t2i-adapter.md) to load with the model',
    flag: { spelling: '--t2i-adapter <path>', group: 'model' },
  }),
  /** Prefer weight files of this variant, such as 'fp16'. */
  variant: option({
    kind: kinds.fileNamePart,
    families,
    help: "prefer weight files of this variant, such as 'fp16'",
    flag: { spelling: '--variant <name>', group: 'model' },
  }),
  /** Of a model of the Hugging Face Hub: a branch, a tag or a commit. Default 'main'. */
  revision: option({
    kind: kinds.own<string>('branch, tag or commit', 'text', checkRevision),
    families,
    help: 'of a model of the Hugging Face Hub: a branch, a tag or a commit',
    fallback: "'main'",
    flag: { spelling: '--revision <name>', group: 'model' },
  }),
  /** The token for models of the Hub that are gated or private; by default HF_TOKEN, or what `hf auth login` left. */
  token: option({
    kind: kinds.own<string>('text', 'text', checkToken),
    families,
    help: 'for models of the Hub that are gated or private',
    fallback: 'HF_TOKEN',
  }),
  /** Takes models of the Hub from the cache alone, and asks for nothing; so does HF_HUB_OFFLINE=1. Default false. */
  offline: option({
    kind: kinds.flag,
    families,
    help: 'take models of the Hub from the cache alone, without any request',
    fallback: 'false',
    flag: { spelling: '--offline', group: 'model' },
  }),
  /** Where models of the Hub are kept; by default in the cache that its own programs share. */
  cacheDir: option({
    kind: kinds.path,
    families,
    help: 'where models of the Hub are kept',
    fallback: 'HF_HUB_CACHE',
    flag: { spelling: '--cache-dir <folder>', group: 'model' },
  }),
  /**
   * A folder of models that image programs share, of AUTOMATIC1111's web UI, Forge, ComfyUI or InvokeAI: models, LoRAs,
   * embeddings and autoencoders in it go by their names. By default DEEPCACHE_MODELS_DIR.
   */
  modelsDir: option({
    kind: kinds.path,
    families,
    help: 'a folder of models of another program, in which names are looked up',
    fallback: 'DEEPCACHE_MODELS_DIR',
    flag: { spelling: '--models-dir <folder>', group: 'model' },
  }),
  /** Hears how far the download of a model is; by default the log does. */
  onProgress: option({
    kind: kinds.callback<(progress: DownloadProgress) => void>(),
    families,
    help: 'hears how far the download of a model is',
  }),
  /**
   * For a model in a single file: a folder with the JSON files and the tokenizers of the diffusers layout, which are taken
   * before those of the published model that it is like; or the .yaml file that it was trained with.
   */
  config: option({
    kind: kinds.path,
    families,
    help: 'configurations and tokenizers of a model in a single file: a folder, or a .yaml file',
    flag: { spelling: '--config <path>', group: 'model' },
  }),
  /** Another U-Net: a file of weights, also a whole model's, or a folder. */
  unet: option({
    kind: kinds.path,
    families,
    help: 'another U-Net: a file or a folder',
    flag: { spelling: '--unet <path>', group: 'model' },
  }),
  /**
   * Another autoencoder: a file of weights, also a whole model's, a folder, or a name on the Hugging Face Hub; `'tiny'` is the
   * TAESD of the model's kind there, which decodes in a fraction of the time with a little less detail.
   */
  vae: option({
    kind: kinds.path,
    families,
    help: 'another autoencoder: a file, a folder, a name on the Hub, or `tiny` (TAESD)',
    flag: {
      spelling: '--vae <path>',
      group: 'model',
      help: 'another autoencoder: a file, a folder, a name on the Hub, or tiny (TAESD)',
    },
  }),
  /**
   * An autoencoder that previews are decoded by, beside the run: a TAESD of the model's kind, as `vae` takes it, with
   * which they show what the picture will. Final pictures are the same with and without it.
   */
  previewVae: option({
    kind: kinds.path,
    families,
    help: 'a small autoencoder (TAESD) that previews are [decoded by](pictures.md#previews): a file, a folder, a name on the Hub, or `tiny`',
    flag: {
      spelling: '--preview-vae <path>',
      group: 'model',
      help: 'a small autoencoder that previews are decoded by: a file, a folder, a name on the Hub, or tiny (TAESD)',
    },
  }),
  /** Another text encoder: a file of weights, also a whole model's, or a folder. */
  textEncoder: option({
    kind: kinds.path,
    families,
    help: 'another text encoder: a file or a folder',
    flag: { spelling: '--text-encoder <path>', group: 'model' },
  }),
  /** The same for the second one of SDXL. */
  textEncoder2: option({
    kind: kinds.path,
    families,
    help: "another one in the place of SDXL's second text encoder",
    flag: { spelling: '--text-encoder-2 <path>', group: 'model' },
  }),
  /** Takes the U-Net's weights from their running means (EMA), where a single file has both. Default false. */
  useEma: option({
    kind: kinds.flag,
    families,
    help: "take the running means (EMA) of the U-Net's weights from a single file that has both",
    fallback: 'false',
    flag: { spelling: '--use-ema', group: 'model' },
  }),
  /**
   * Frees the text encoder after each use and reads it again from its files for the next one, which must still be
   * there. Default false.
   */
  unloadTextEncoder: option({
    kind: kinds.flag,
    families,
    help: 'free the text encoder after each use',
    fallback: 'false',
    flag: { spelling: '--unload-text-encoder', group: 'model' },
  }),
  /**
   * Fits the colours of previews to this very autoencoder, which takes less than a step. Default false: the published
   * numbers are taken for the autoencoders of SD 1.x, 2.x and XL; others are fitted at their first preview.
   */
  fitPreviews: option({
    kind: kinds.flag,
    families,
    help: 'fit the colours of previews to this very autoencoder',
    fallback: 'false',
  }),
  /** How many calls may wait or run at once; see {@link DiffusionPipeline.maxPending}. By default any number. */
  maxPending: option({
    kind: kinds.own<number>('whole number from 1', 'count', (_, value) => checkMaxPending(value)),
    families,
    help: 'how many calls may wait or run at once',
    fallback: 'any number',
  }),
  /** Where remarks go; standard error by default. */
  log: option({
    kind: kinds.callback<Log>(),
    families,
    help: 'where remarks go',
    fallback: 'standard error',
  }),
};
