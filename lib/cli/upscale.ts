import { Command, Option } from 'commander';
import { Upscaler } from '../upscale/upscaler.js';
import { toNumber } from './arguments.js';
import type { CliContext } from './context.js';
import { PICTURE_ENDINGS } from './generate-run.js';
import { OutputFile } from './output-file.js';
import { EXIT_CODES_HELP } from './run.js';
import { StatusLine } from './status-line.js';

interface UpscaleFlags {
  model: string;
  output: string;
  tile?: number;
  tilePad?: number;
  force?: boolean;
  device?: string;
  threads?: number;
  quiet?: boolean;
}

/** `deepcache upscale`: a picture enlarged by a network. */
export function upscaleCommand(context: CliContext): Command {
  return new Command('upscale')
    .description('Enlarge a picture by a network: ESRGAN, Real-ESRGAN or SRVGGNetCompact.')
    .argument('<picture>', 'PNG, JPEG, WebP, GIF, TIFF or AVIF')
    .requiredOption('-m, --model <file>', 'the file of the network: safetensors or .pth')
    .addOption(new Option('-o, --output <file>', 'where the result goes').default('out.png'))
    .addOption(
      new Option('--tile <pixels>', 'side of tiles; 0: in one piece (default: 512)').argParser(toNumber),
    )
    .addOption(
      new Option(
        '--tile-pad <pixels>',
        'pixels around a tile that are computed with it (default: 10)',
      ).argParser(toNumber),
    )
    .option('--force', 'overwrite the file')
    .option('--device <name>', 'auto, cpu, cuda or cuda:N (default: auto)')
    .addOption(new Option('--threads <n>', 'CPU threads').argParser(toNumber))
    .option('-q, --quiet', 'print nothing but errors')
    .addHelpText('after', EXIT_CODES_HELP)
    .action((picture: string, flags: UpscaleFlags) => upscale(picture, flags, context));
}

async function upscale(picture: string, flags: UpscaleFlags, context: CliContext): Promise<void> {
  const { signal } = context;
  const { force, quiet, tile, tilePad, device, threads } = flags;
  const endings = PICTURE_ENDINGS;
  const output = await OutputFile.prepare(flags.output, { option: 'output', endings, count: 1, force });
  const line = new StatusLine(context, !quiet);
  try {
    line.show(`loading ${flags.model}`);
    const load = {
      ...(device !== undefined && { device }),
      ...(threads !== undefined && { threads }),
      signal,
    };
    using upscaler = await Upscaler.fromPretrained(flags.model, load as object);
    line.show('enlarging');
    const tiles = { ...(tile !== undefined && { tile }), ...(tilePad !== undefined && { tilePad }), signal };
    const image = await upscaler.upscale(picture, tiles);
    const file = await output.write(0, (part) => image.save(part));
    line.clear();
    if (!quiet) context.out(`${file}  ${image.width}x${image.height}\n`);
  } finally {
    line.clear();
  }
}
