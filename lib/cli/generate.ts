import { Command, Option } from 'commander';
import type { FlagGroup } from '../options/option.js';
import { collect, toJsonObject, toNumber, toWhole } from './arguments.js';
import { CACHE_SETTINGS_HELP } from './cache-option.js';
import type { CliContext } from './context.js';
import { flagsOf } from './flags.js';
import type { GenerateFlags } from './generate-options.js';
import { generate } from './generate-run.js';
import { PROMPTS_HELP } from './prompt-list.js';
import { EXIT_CODES_HELP } from './run.js';

/** Flags that are no options of the library, beside those of their group that are. */
const OWN: Readonly<Record<FlagGroup, readonly Option[]>> = {
  make: [
    new Option('--prompts <file>', `more ${PROMPTS_HELP}`),
    new Option('--from <picture>', "what a picture's own settings say, where no flag says otherwise"),
    new Option(
      '-o, --output <file>',
      'PNG, JPEG or WebP; several images become file-1.png, ...; - is stdout (default: out.png)',
    ),
    new Option('--force', 'replace existing files; otherwise new ones get a number'),
    new Option('--quality <n>', 'of JPEG and WebP, 1 to 100').argParser(toWhole),
  ],
  picture: [
    new Option(
      '--control <file=picture>',
      'a ControlNet and what it sees, as --control-net and --control-image; repeatable',
    ).argParser(collect),
    new Option(
      '--ip-adapter <file=picture>',
      'a picture beside the prompt, and the IP-Adapter that reads it, with its scale as file=picture:0.6; repeatable',
    ).argParser(collect),
    new Option(
      '--image-encoder <folder>',
      'that of the IP-Adapters (default: the folder image_encoder beside the file)',
    ),
  ],
  how: [
    new Option(
      '--scheduler-config <json>',
      "fields of the sampler's configuration, or a file with them",
    ).argParser(toJsonObject),
    new Option('--lora <file>', 'an adapter, with its scale as file:0.8; repeat it for several').argParser(
      collect,
    ),
    new Option('--lora-dir <folder>', 'where adapters lie that prompts name as <lora:name:0.8>'),
    new Option('--refiner <folder>', 'SDXL: a refiner that runs the last steps'),
    new Option(
      '--refiner-start <x>',
      'the fraction of the denoising after which it starts (default: 0.8)',
    ).argParser(toNumber),
  ],
  tensor: [],
  model: [
    new Option(
      '-m, --model <model>',
      'a folder, a file, org/name of the Hugging Face Hub, or a name in --models-dir',
    ),
    new Option(
      '--embedding <file[=token]>',
      'a textual inversion, and what stands for it in prompts; repeatable',
    ).argParser(collect),
  ],
  output: [
    new Option('--preview <file>', 'write previews to this file, each replacing the last'),
    new Option('--json', 'print the result as JSON'),
    new Option('-q, --quiet', 'print nothing but errors'),
  ],
};

const GROUPS: readonly (readonly [FlagGroup, string])[] = [
  ['make', 'What to make:'],
  ['picture', 'From a picture:'],
  ['how', 'How:'],
  ['tensor', 'Tensors from safetensors files that hold one each, in F32:'],
  ['model', 'Model and device:'],
  ['output', 'Output:'],
];

/** `deepcache generate`: images from prompts. */
export function generateCommand(context: CliContext): Command {
  const command = new Command('generate').description('Make images from prompts.');
  for (const [group, title] of GROUPS) {
    command.optionsGroup(title);
    for (const option of [...flagsOf(group), ...OWN[group]]) command.addOption(option);
  }
  return command
    .optionsGroup('Options:')
    .addHelpText('after', `${CACHE_SETTINGS_HELP}\n${PREVIEW_HELP}\n${EXIT_CODES_HELP}`)
    .action((flags: GenerateFlags) => generate(flags, context));
}

const PREVIEW_HELP = `
Previews are rough colours, made without the autoencoder. Terminals that can show pictures (iTerm2, WezTerm, kitty,
Ghostty) show the first image's; --preview writes all images' to files.`;
