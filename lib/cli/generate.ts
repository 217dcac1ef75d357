import { Command, Option } from 'commander';
import { UI_NAMES } from '../schedulers/aliases.js';
import { schedulerNames } from '../schedulers/index.js';
import { collect, toCount, toDtype, toJsonObject, toList, toNumber, toSeed, toWhole } from './arguments.js';
import { CACHE_HELP, CACHE_SETTINGS_HELP, toCacheOptions } from './cache-option.js';
import type { CliContext } from './context.js';
import type { GenerateFlags } from './generate-options.js';
import { generate } from './generate-run.js';
import { EXIT_CODES_HELP } from './run.js';

/** `deepcache generate`: images from prompts. */
export function generateCommand(context: CliContext): Command {
  return new Command('generate')
    .description('Make images from prompts.')
    .optionsGroup('What to make:')
    .option(
      '-p, --prompt <text>',
      'what to show; repeat it for several pictures; - reads it from stdin',
      collect,
    )
    .option('--prompts <file>', 'more of them, one a line; - is stdin')
    .option('-n, --negative-prompt <text>', 'what not to show; one for all prompts, or one each', collect)
    .option('--class <n,n,...>', 'for class-conditional models: numbers of what to show', toList(toWhole))
    .option(
      '-o, --output <file>',
      'PNG, JPEG or WebP; several images become file-1.png, ...; - is stdout (default: out.png)',
    )
    .option('--force', 'replace files that are there; otherwise new ones get a number')
    .option(
      '--frames <n>',
      'a video: MP4 (needs ffmpeg), or animated WebP or GIF (default: out.mp4)',
      toWhole,
    )
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
    .option(
      '--scheduler <name>',
      `another sampler: ${schedulerNames().map(shortName).join(', ')}; or as user interfaces call them: ` +
        `${UI_NAMES.join(', ')}`,
    )
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
      new Option('--dtype <type>', "type of the GPU's arithmetic: auto, fp32, fp16 or bf16")
        .argParser(toDtype(['auto', 'fp32', 'fp16', 'bf16']))
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

function shortName(name: string): string {
  return name.replace(/Scheduler$/, '');
}
