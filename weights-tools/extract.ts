import { join } from 'node:path';
import { Command, Option } from 'commander';
import { toDtype } from '../lib/cli/arguments.js';
import type { CliContext } from '../lib/cli/context.js';
import { writing } from '../lib/cli/output-file.js';
import { EXIT_CODES_HELP } from '../lib/cli/run.js';
import { writeFileAtomic } from '../lib/files/atomic-write.js';
import { readModelIndex } from '../lib/pipelines/loading/model-index.js';
import { plain, readWholePart } from './model-parts.js';
import { isWeightsFile, staged } from './outputs.js';
import { runTasks } from './run-tasks.js';

interface Flags {
  output: string;
  part: string;
  dtype?: 'fp32' | 'fp16' | 'bf16';
  variant?: string;
  config?: string;
  force?: boolean;
  quiet?: boolean;
}

const PARTS = ['vae', 'text_encoder', 'text_encoder_2', 'image_encoder', 'unet'];
const DTYPES = { fp32: 'F32', fp16: 'F16', bf16: 'BF16' } as const;

/** `weights-tools extract`: one network of a model, under diffusers' names. */
export function extractCommand(context: CliContext): Command {
  return new Command('extract')
    .description(
      'Take one network out of a model, a single file or a folder: an autoencoder or a text encoder for other ' +
        'models, under the names of diffusers and transformers.',
    )
    .argument('<input>', 'the model')
    .addOption(new Option('--part <name>', 'which network').choices(PARTS).makeOptionMandatory())
    .requiredOption(
      '-o, --output <path>',
      'where to: a name that ends in .safetensors, or a folder for its config.json too',
    )
    .addOption(
      new Option('--dtype <type>', 'the type to write: fp32, fp16 or bf16; as stored by default').argParser(
        toDtype(['fp32', 'fp16', 'bf16']),
      ),
    )
    .option('--variant <name>', 'read weight files of this variant, such as fp16')
    .option('--config <path>', 'configurations of a model in a single file: a folder, or a .yaml file')
    .option('--force', 'replace what is there')
    .option('-q, --quiet', 'print nothing but errors')
    .addHelpText('after', EXIT_CODES_HELP)
    .action((input: string, flags: Flags) => extract(input, flags, context));
}

async function extract(input: string, flags: Flags, context: CliContext): Promise<void> {
  const { output, part, dtype, variant, config, force = false, quiet } = flags;
  const { signal } = context;
  await staged(flags, async (stage) => {
    const { source } = await readModelIndex(input, { ...(config !== undefined && { config }), signal });
    const { network, tensors, metadata } = await readWholePart(source, part, { variant, signal });
    let file = output;
    if (!isWeightsFile(output)) {
      file = join(output, /encoder/.test(part) ? 'model.safetensors' : 'diffusion_pytorch_model.safetensors');
      const text = `${JSON.stringify(network.config, null, 2)}\n`;
      await writing(output, () => writeFileAtomic(join(stage.folder, 'config.json'), text));
    }
    const task = {
      tensors: tensors.map(plain),
      metadata: { format: 'pt', ...metadata },
      output: stage.at(file),
    };
    await runTasks([task], stage, context, { dtype: dtype && DTYPES[dtype], quiet, force });
  });
}
