import { writeFile } from 'node:fs/promises';
import { Command } from 'commander';
import { type ComparablePipeline, compare } from '../compare/index.js';
import type { CacheOptions } from '../deepcache/index.js';
import { invalidArgument } from '../errors.js';
// Not from its own module: this one knows all pipelines.
import { DiffusionPipeline } from '../index.js';
import type { GenerateOptions } from '../pipelines/inputs/options.js';
import { toCount } from './arguments.js';
import { CACHE_HELP, CACHE_SETTINGS_HELP, toCacheOptions } from './cache-option.js';
import { checkSettings, familyOfFolder } from './check-options.js';
import { comparisonJson, comparisonText } from './compare-report.js';
import type { CliContext } from './context.js';
import { modelFolder } from './default-model.js';
import { givenExtras, loadExtras } from './extras.js';
import { pipelineOf } from './family.js';
import { generateCommand } from './generate.js';
import { checkFlags, type GenerateFlags, toGenerateOptions, toLoadOptions } from './generate-options.js';
import { PICTURE_ENDINGS } from './generate-run.js';
import { FLUSHED, HTML, OutputFile, requireDifferent } from './output-file.js';
import { withPlaces } from './places.js';
import { givenPrompts } from './prompt-list.js';
import { EXIT_CODES_HELP } from './run.js';
import { StatusLine } from './status-line.js';

interface Flags extends Omit<GenerateFlags, 'cache' | 'output'> {
  output: string;
  cache?: CacheOptions[];
  repeats?: number;
  html?: string;
}

/** Flags of `generate` that are another thing here, or of no use. */
const OTHER = ['output', 'cache', 'preview', 'previewEvery', 'refiner', 'refinerStart'];

/** `deepcache compare`: the same pictures with several cache settings. */
export function compareCommand(context: CliContext): Command {
  const command = new Command('compare')
    .description(
      'Make the same pictures without a cache and with DeepCache settings, and measure how they differ.',
    )
    .optionsGroup('What to compare:')
    .option(
      '-c, --cache <settings>',
      `repeat it for several: ${CACHE_HELP} (default: quality, balanced and fast)`,
      (text, previous: CacheOptions[] | undefined) => [...(previous ?? []), toCacheOptions(text)],
    )
    .option('-o, --output <file>', 'all pictures side by side, as PNG, JPEG or WebP', 'compare.png')
    .option('--html <file>', 'a page with a slider between the pictures, in one file')
    .option(
      '--repeats <n>',
      'runs of each setting; the median time counts (default: 3 to 5 for short runs, else 1)',
      toCount,
    );
  for (const option of generateCommand(context).options) {
    if (!OTHER.includes(option.attributeName())) command.addOption(option);
  }
  return command
    .optionsGroup('Options:')
    .addHelpText('after', `${CACHE_SETTINGS_HELP}\n${EXIT_CODES_HELP}`)
    .action((flags: Flags) => run(flags, context));
}

async function run({ cache, repeats, html, ...given }: Flags, context: CliContext): Promise<void> {
  checkFlags(given, false);
  const flags = await withPlaces(given, context);
  const prompt = await givenPrompts(flags, context);
  const { folder, note } = modelFolder(flags.model, flags);
  const family = await familyOfFolder(folder, flags);
  const options = toGenerateOptions({ ...flags, ...(prompt && { prompt }) }, family);
  // Without a cache it is made in any case.
  const settings = cache?.filter((setting) => setting !== false);
  if (settings?.length === 0)
    throw invalidArgument('cache', 'needs a setting other than off to compare with it');
  const { signal } = context;
  const known = { ...toLoadOptions(flags), signal };
  const extras = await givenExtras(flags, [options.prompt ?? []].flat(), signal);
  await checkSettings(folder, family, { ...options, ...extras.options }, settings ?? [], known);
  const line = new StatusLine(context, !flags.quiet);
  const { force } = flags;
  requireDifferent({ output: flags.output, html });
  const picture = await OutputFile.prepare(flags.output, {
    option: 'output',
    endings: PICTURE_ENDINGS,
    force,
  });
  const page = html === undefined ? undefined : await OutputFile.prepare(html, { ...HTML, force });
  const remark = (message: string) => line.remark(message);
  if (note) remark(note);
  try {
    line.show(`loading ${folder}`);
    const load = { ...toLoadOptions(flags), log: remark, signal };
    await using base = await DiffusionPipeline.fromPretrained(folder, load);
    await using pipe = pipelineOf(family, base);
    await loadExtras(pipe, extras, signal);
    for (const file of [picture, page]) if (file?.remark) line.warn(file.remark);
    line.show('warming up');
    // compare() says so where there is nothing to cache.
    const comparable = pipe as unknown as ComparablePipeline<GenerateOptions>;
    const comparison = await compare(comparable, { ...options, ...extras.options, signal }, settings, {
      ...(repeats !== undefined && { repeats }),
      onProgress: ({ name, run, runs, event: { call, calls } }) => {
        line.show(`run ${run} of ${runs}, ${name}: call ${call} of ${calls}`, call === calls);
      },
    });
    line.show('writing');
    const { quality } = flags;
    const encoding = quality === undefined ? {} : { quality };
    const files = [await picture.write(0, (part) => comparison.picture().save(part, encoding))];
    if (page)
      files.push(await page.write(0, async (part) => writeFile(part, await comparison.html(), FLUSHED)));
    for (const { name, notes } of comparison.runs) for (const text of notes) remark(`${name}: ${text}`);
    line.clear();
    if (flags.json) context.out(comparisonJson(comparison, folder, files));
    else if (!flags.quiet) context.out(comparisonText(comparison, files));
  } finally {
    line.clear();
  }
}
