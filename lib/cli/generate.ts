import { mkdir } from 'node:fs/promises';
import { dirname, extname } from 'node:path';
import { Command, Option } from 'commander';
import { invalidArgument } from '../errors.js';
// Not from its own module: this one knows all pipelines.
import {
  DiffusionPipeline,
  type GenerateOptions,
  type GenerateResult,
  type Image,
  type LoadOptions,
  pipelineForInputs,
  StableDiffusionXLImg2ImgPipeline,
  type StepEvent,
  saveVideo,
  type Tensor,
  VIDEO_ENDINGS,
} from '../index.js';
import { readModelIndex } from '../pipelines/components.js';
import { schedulerNames } from '../schedulers/index.js';
import { collect, toCount, toJsonObject, toList, toNumber, toSeed, toWhole } from './arguments.js';
import { CACHE_HELP, CACHE_SETTINGS_HELP, toCacheOptions } from './cache-option.js';
import type { CliContext } from './context.js';
import { modelFolder } from './default-model.js';
import { type GenerateFlags, optionsFor, toLoadOptions } from './generate-options.js';
import { fileNames, jsonReport, textReport } from './generate-report.js';
import { PreviewOutput } from './preview-output.js';
import { EXIT_CODES_HELP } from './run.js';
import { StatusLine } from './status-line.js';
import { StepProgress } from './step-progress.js';
import { makesVideo, toVideoOptions, videoPipeline } from './video-options.js';

const ENDINGS: readonly string[] = ['.png', '.jpg', '.jpeg', '.webp'];

const DEFAULT_OUTPUT = 'out.png';

/** `deepcache generate`: images from prompts. */
export function generateCommand(context: CliContext): Command {
  return new Command('generate')
    .description('Make images from prompts.')
    .optionsGroup('What to make:')
    .option('-p, --prompt <text>', 'what to show; repeat it for several pictures', collect)
    .option('-n, --negative-prompt <text>', 'what not to show; one for all prompts, or one each', collect)
    .option('--class <n,n,...>', 'for class-conditional models: numbers of what to show', toList(toWhole))
    .option('-o, --output <file>', 'PNG, JPEG or WebP; several images become file-1.png, ...', DEFAULT_OUTPUT)
    .option('--frames <n>', 'a video: MP4 (with ffmpeg), or animated WebP or GIF', toWhole)
    .option('--fps <n>', 'its frames a second (default: 7)', toNumber)
    .option('--width <pixels>', "a multiple of 8; default: the model's own size", toWhole)
    .option('--height <pixels>', 'the same', toWhole)
    .option('--num-images <n>', 'images of each prompt (default: 1)', toWhole)
    .addOption(new Option('--num-images-per-prompt <n>', 'same as --num-images').argParser(toWhole))
    .option('-s, --seed <n>', 'the same seed makes the same picture; default, and -1: a random one', toSeed)
    .option('--seeds <n,n,...>', 'a seed for each image', toList(toSeed))
    .option('--quality <n>', 'of JPEG and WebP, 1 to 100', toWhole)
    .optionsGroup('From a picture:')
    .option('-i, --image <file>', 'start from this picture')
    .option('--mask <file>', 'and repaint it where this one is white')
    .option('--no-keep-original', 'let what is not repainted change a little, as models do')
    .option('--strength <x>', 'how much of the picture to give up, 0 to 1', toNumber)
    .optionsGroup('How:')
    .option('--steps <n>', "steps of the sampler (default: the model's, else 50)", toWhole)
    .addOption(new Option('--num-inference-steps <n>', 'same as --steps').argParser(toWhole))
    .option(
      '-g, --guidance-scale <x>',
      "how closely to follow the prompt; 1 is off (default: the model's, else 7.5)",
      toNumber,
    )
    .option(
      '--guidance-rescale <x>',
      'against overexposure by strong guidance, 0 to 1 (default: 0)',
      toNumber,
    )
    .option('-c, --cache <settings>', `DeepCache: ${CACHE_HELP}`, toCacheOptions)
    .option('--prompt-2 <text>', "SDXL: for the second text encoder; default: --prompt's", collect)
    .option('--negative-prompt-2 <text>', 'the same for what not to show', collect)
    .option('--refiner <folder>', 'SDXL: a refiner that makes the last steps')
    .option(
      '--refiner-start <x>',
      'the fraction of the denoising after which it does (default: 0.8)',
      toNumber,
    )
    .option('--long-prompts', 'read more than 75 tokens, in blocks; BREAK starts the next')
    .option('--prompt-weighting', 'read (word:1.3), (word) and [word] as weights')
    .option('--clip-skip <n>', 'layers of the text encoder to leave out (default: 0)', toWhole)
    .option('--eta <x>', 'randomness of DDIM, 0 to 1 (default: 0)', toNumber)
    .option('--scheduler <name>', `another sampler: ${schedulerNames().map(shortName).join(', ')}`)
    .option('--scheduler-config <json>', 'fields of its configuration, or a file with them', toJsonObject)
    .option('--timesteps <t,t,...>', 'timesteps of your own, from high to low', toList(toNumber))
    .option('--sigmas <s,s,...>', 'the same as sigmas', toList(toNumber))
    .optionsGroup('Tensors from safetensors files that hold one each, in F32:')
    .option('--latents <file>', 'noise to start from: [images, 4, height / 8, width / 8]')
    .option('--prompt-embeds <file>', 'encoded prompts instead of --prompt: [prompts, tokens, width]')
    .option('--negative-prompt-embeds <file>', 'the same for what not to show')
    .optionsGroup('Model and device:')
    .option('-m, --model <folder>', 'a model in the diffusers layout')
    .option('--variant <name>', 'prefer its weight files of this variant, such as fp16')
    .option('--device <name>', 'auto, cpu, cuda or cuda:N; see `deepcache inspect devices`', 'auto')
    .addOption(
      new Option('--dtype <type>', "type of the GPU's arithmetic")
        .choices(['auto', 'fp32', 'fp16', 'bf16'])
        .default('auto'),
    )
    .option('--threads <n>', 'CPU threads (default: all cores)', toCount)
    .option('--autotune', "measure the GPU's fastest tiles and keep them for later runs")
    .option(
      '--vae-tiling [pixels]',
      'decode in tiles, which takes less memory; their size is optional',
      toWhole,
    )
    .option('--unload-text-encoder', 'free the text encoder once prompts are read')
    .optionsGroup('Output:')
    .option('--preview-every <n>', 'show every so many steps what becomes of it, see below', toCount)
    .option('--preview <file>', 'write previews to this file, each over the one before')
    .option('--json', 'print the result as JSON')
    .option('-q, --quiet', 'print nothing but errors')
    .optionsGroup('Options:')
    .addHelpText('after', `${CACHE_SETTINGS_HELP}\n${PREVIEW_HELP}\n${EXIT_CODES_HELP}`)
    .action((flags: GenerateFlags) => generate(flags, context));
}

const PREVIEW_HELP = `
Previews are rough colours, made without the autoencoder. Terminals that can show pictures (iTerm2, WezTerm, kitty,
Ghostty) show the first image's; --preview writes all images' to files.`;

async function generate(flags: GenerateFlags, context: CliContext): Promise<void> {
  // Everything that can be wrong should be known before a model is loaded and minutes are spent.
  // A folder that is no model is told about when it is loaded.
  const index =
    flags.model === undefined ? undefined : await readModelIndex(flags.model).catch(() => undefined);
  const isVideo = makesVideo(index?.className, flags);
  if (isVideo && flags.output === DEFAULT_OUTPUT) flags.output = 'out.mp4';
  const paths = { output: flags.output, ...(flags.preview !== undefined && { preview: flags.preview }) };
  for (const [name, path] of Object.entries(paths)) {
    const endings = isVideo && name === 'output' ? VIDEO_ENDINGS : ENDINGS;
    if (endings.includes(extname(path).toLowerCase())) continue;
    throw invalidArgument(name, `must end in ${endings.join(', ')}, got ${JSON.stringify(path)}`);
  }
  const options = isVideo ? toVideoOptions(index?.className, flags) : optionsFor(index?.className, flags);
  for (const path of Object.values(paths)) await mkdir(dirname(path), { recursive: true });

  const line = new StatusLine(context, !flags.quiet);
  const remark = (message: string) => line.remark(message);
  const { folder, note } = modelFolder(flags.model, flags);
  if (note) remark(note);
  const previews = new PreviewOutput(context, line, flags.preview);
  if (options.previewEvery && !previews.isUseful) {
    remark('--preview-every: pictures cannot be shown here; give --preview and a file');
    delete options.previewEvery;
  }
  const { signal } = context;
  try {
    line.show(`loading ${folder}`);
    const start = performance.now();
    const load = { ...toLoadOptions(flags), log: remark, signal };
    await using base = await DiffusionPipeline.fromPretrained(folder, load);
    const inputs = { image: flags.image !== undefined, mask: flags.mask !== undefined };
    const isEdit = !isVideo && (inputs.image || inputs.mask);
    await using pipe = isVideo
      ? videoPipeline(index?.className, base)
      : isEdit
        ? pipelineForInputs(base, inputs)
        : base;
    const loading = (performance.now() - start) / 1000;

    line.show('reading the prompt');
    const progress = new StepProgress(line);
    const hooks = {
      signal,
      onStep: (event: StepEvent) => {
        previews.update(event);
        progress.update(event);
        if (event.step === event.steps) line.show('decoding');
      },
    };
    const result =
      flags.refiner === undefined
        ? await pipe.generate({ ...options, ...hooks })
        : await refined(pipe, { ...options, ...hooks }, flags as RefinerFlags, load);
    await previews.finish();
    const encoding = { ...(flags.quality && { quality: flags.quality }) };
    const files = isVideo ? [] : fileNames(flags.output, result.images.length);
    for (const [i, file] of files.entries()) await (result.images[i] as Image).save(file, encoding);
    if (isVideo) {
      const { fps } = flags;
      files.push(await saveVideo(result.images, flags.output, { ...encoding, ...(fps && { fps }) }));
      if (files[0] !== flags.output) remark(`there is no ffmpeg: the video is ${files[0]}`);
    }
    for (const message of result.notes) remark(message);
    line.clear();
    const report = { model: folder, device: pipe.device, files, loading, result };
    if (flags.json) context.out(jsonReport(report));
    else if (!flags.quiet) context.out(textReport(report));
  } finally {
    await previews.settle();
    line.clear();
  }
}

type RefinerFlags = GenerateFlags & { refiner: string };

/** SDXL in two parts: the base model's latents go on in the refiner. */
async function refined(
  pipe: DiffusionPipeline,
  options: GenerateOptions,
  { refiner, refinerStart = 0.8 }: RefinerFlags,
  load: LoadOptions,
): Promise<GenerateResult> {
  const { latents: _, ...rest } = options;
  const half = { ...options, denoisingEnd: refinerStart, output: 'latent' as const };
  const { tensor, seeds } = await pipe.generate(half);
  await using second = await StableDiffusionXLImg2ImgPipeline.fromPretrained(refiner, load);
  // A random seed of the first part is the second's too, for the file to tell the recipe.
  const seed = options.seeds ? {} : { seed: seeds[0] as bigint };
  const image = tensor as Tensor;
  return await second.generate({ ...rest, ...seed, image, denoisingStart: refinerStart });
}

function shortName(name: string): string {
  return name.replace(/Scheduler$/, '');
}
