import { Command, InvalidArgumentError, Option } from 'commander';
import { CACHE_PRESETS, type CachePreset } from '../deepcache/index.js';
import { invalidArgument, messageOf } from '../errors.js';
// Not from its own module: this one knows all pipelines.
import { DiffusionPipeline } from '../index.js';
import { drawSeed, isRandom } from '../pipelines/inputs/seeds.js';
import { oneLine } from '../printable.js';
import {
  type TunablePipeline,
  type TuneBudget,
  type TuneFigures,
  type TuneResult,
  tune,
} from '../tune/index.js';
import { toCount, toList, toNumber, toWhole } from './arguments.js';
import { cacheText, optionText } from './cache-text.js';
import { checkForFolder, familyOfFolder } from './check-options.js';
import { type CliContext, ExitCode, exitCodeOf } from './context.js';
import { modelFolder } from './default-model.js';
import { givenExtras, loadExtras } from './extras.js';
import { formatSeconds, formatTable } from './format.js';
import { generateCommand } from './generate.js';
import {
  checkFlags,
  type GenerateFlags,
  MEASURED_FLAGS,
  toGenerateOptions,
  toLoadOptions,
} from './generate-options.js';
import { withPlaces } from './places.js';
import { PROMPTS_HELP, promptList } from './prompt-list.js';
import { EXIT_CODES_HELP } from './run.js';
import { StatusLine } from './status-line.js';

interface Flags extends Omit<GenerateFlags, 'cache' | 'seed' | 'output'> {
  minPsnr?: number;
  budget?: TuneBudget;
  preset?: CachePreset;
  save: boolean;
  predict: boolean;
  speedup?: number;
  prompts?: string;
  validationPrompts?: string;
  captions?: number;
  resume?: string;
  seed: number;
  branches?: number[];
  maxRuns?: number;
  maxSeconds: number;
}

/** `deepcache tune`: the fastest schedule within a budget. */
export function tuneCommand(context: CliContext): Command {
  const command = new Command('tune')
    .alias('plan')
    .description(
      'Find the fastest DeepCache schedule for a model within a budget, and try it on other prompts.',
    )
    .optionsGroup('The budget, one of:')
    .addOption(
      new Option(
        '--min-psnr <dB>',
        'the fastest schedule with at least this PSNR against the uncached pictures',
      )
        .argParser(toNumber)
        .conflicts('speedup'),
    )
    .option(
      '--speedup <x>',
      'the schedule closest to the uncached pictures that is at least this fast',
      toNumber,
    )
    .addOption(
      new Option('--budget <x>', 'the same in one: 35dB, 2.5x, or 1/3 of the time')
        .argParser(toBudget)
        .conflicts(['minPsnr', 'speedup']),
    )
    .addOption(
      new Option(
        '--preset <name>',
        'the schedule closest to the uncached pictures that is as fast as this preset',
      )
        .choices(Object.keys(CACHE_PRESETS))
        .conflicts(['minPsnr', 'speedup', 'budget']),
    )
    .addOption(
      new Option(
        '--save',
        'beside the model: in such runs the preset of --preset is what was found from now on, where it beats equal intervals and fewer steps',
      ).default(false, 'no'),
    )
    .option(
      '--no-predict',
      'search schedules that hold features only: none that predict calls, or forecast features',
    )
    .optionsGroup('What to search with:')
    .option('--prompts <file>', PROMPTS_HELP)
    .option(
      '--validation-prompts <file>',
      'prompts to try the result on; by default half of the prompts, or a single one with other seeds',
    )
    .option(
      '--captions <n>',
      "without prompts: captions of the demo model's world, and twice as many to try the result on (default: 12)",
      toCount,
    )
    .option('--resume <file>', 'what was measured is kept in it, to go on from there')
    .option('-s, --seed <n>', 'of the first picture and the captions; -1 picks one at random', toWhole, 1)
    .option('--branches <n,n,...>', 'branches to search (default: 0,1,2,3)', toList(toWhole))
    .option('--max-runs <n>', 'at most this many runs of all prompts for the search (default: 500)', toCount)
    .option(
      '--max-seconds <n>',
      'at most this many seconds, some of which are kept for the other prompts',
      toNumber,
      300,
    );
  for (const option of generateCommand(context).options) {
    if (MEASURED_FLAGS.includes(option.attributeName()) && option.attributeName() !== 'force')
      command.addOption(option);
  }
  return command
    .optionsGroup('Options:')
    .addHelpText('after', EXIT_CODES_HELP)
    .action((flags: Flags) => run(flags, context));
}

async function run(names: Flags, context: CliContext): Promise<void> {
  const flags = await withPlaces(names, context);
  const { prompt, prompts, validationPrompts, captions, seed: drawn, minPsnr, speedup, ...rest } = flags;
  const {
    branches,
    maxRuns,
    maxSeconds,
    budget: either,
    preset,
    save,
    predict,
    resume,
    ...generateFlags
  } = rest;
  const budget = either ?? budgetOf(flags);
  if (!budget) throw invalidArgument('minPsnr', 'or --speedup is missing: say what to search for');
  if (save && !preset) throw invalidArgument('save', 'needs --preset: say what the result shall stand for');
  const seed = isRandom(drawn) ? drawSeed() : drawn;
  const isDemo = flags.model === undefined;
  const hasCaptions = isDemo || captions !== undefined;
  const count = captions ?? 12;
  const all = await promptList(
    { prompt, prompts },
    { count: (validationPrompts === undefined ? 3 : 1) * count, seed, isDemo: hasCaptions },
    context,
  );
  const isDrawn = !prompt && prompts === undefined;
  const [tuning, validation] =
    validationPrompts === undefined
      ? split(all, isDrawn ? count : Math.ceil(all.length / 2))
      : [all, await promptList({ prompts: validationPrompts }, { count: 1, seed, isDemo: false }, context)];
  const given = { ...generateFlags, prompt: tuning } as unknown as GenerateFlags;
  checkFlags(given, false);
  const { folder, note } = modelFolder(flags.model, { ...flags, prompt: all });
  const family = await familyOfFolder(folder, given);
  const { prompt: _, ...options } = toGenerateOptions(given, family);
  const { signal } = context;
  const known = { ...toLoadOptions(given), signal };
  const extras = await givenExtras(flags, [...tuning, ...validation], signal);
  const own = { ...options, ...extras.options };
  await checkForFolder(folder, family, { ...own, prompt: tuning[0] }, known);

  const line = new StatusLine(context, !flags.quiet);
  if (note) line.remark(note);
  const limit = formatSeconds(maxSeconds);
  try {
    line.show(`loading ${folder}`);
    const log = (message: string) => line.remark(message);
    await using pipe = await DiffusionPipeline.fromPretrained(folder, {
      ...toLoadOptions(given),
      log,
      signal,
    });
    await loadExtras(pipe, extras, signal);
    line.show('measuring');
    const result = await tune(pipe as unknown as TunablePipeline, own, budget, {
      prompts: tuning,
      validationPrompts: validation,
      seed,
      ...(branches && { branches }),
      ...(maxRuns !== undefined && { maxRuns }),
      maxSeconds,
      predict,
      ...(resume !== undefined && { resume }),
      // Ctrl-C ends the search, and what it found is printed all the same.
      stop: signal,
      onProgress: ({ phase, runs, seconds, schedule: { steps, between, features }, psnr }) => {
        const tried = psnr === undefined ? '' : `: ${psnr.toFixed(1)} dB`;
        const spent = phase === 'validation' ? '' : `, run ${runs}, ${formatSeconds(seconds)} of ${limit}`;
        line.show(
          `${phase}${spent}, ${steps.length} full, ${between === 'predict' ? 'others predicted' : `branch ${between}${features ? `, features go on by ${features}` : ''}`}${tried}`,
          false,
        );
      },
    });
    line.clear();
    if (save && preset) await savePlan(pipe, preset, result, line, context);
    if (flags.json) context.out(`${JSON.stringify({ model: folder, budget, ...result }, null, 2)}\n`);
    else context.out(resultText(result, { tuning: tuning.length, validation: validation.length }));
    if (signal.aborted) context.exitCode = exitCodeOf(signal);
  } finally {
    line.clear();
  }
}

/** Prompts to search with, and others to try; a single one is used for both, its seeds differ. */
function split(prompts: readonly string[], count: number): [readonly string[], readonly string[]] {
  if (prompts.length === 1) return [prompts, prompts];
  return [prompts.slice(0, count), prompts.slice(count)];
}

function resultText(result: TuneResult, prompts: { tuning: number; validation: number }): string {
  const { cache, speedup, even, isWithin, runs, seconds, isCutShort, tuning, validation } = result;
  const {
    isNoisy,
    speedupRange: [low, high],
  } = result;
  const line = (name: string, figures: TuneFigures | undefined) => {
    if (!figures) return [name, 'no time left', '', ''];
    const { psnr, evenPsnr, gain, worst, evenWorst } = figures;
    const both = (mean: number, least: number) => `${mean.toFixed(2)} / ${least.toFixed(2)} dB`;
    const sign = gain >= 0 ? '+' : '';
    return [name, both(psnr, worst), both(evenPsnr, evenWorst), `${sign}${gain.toFixed(2)} dB`];
  };
  const table = formatTable([
    ['PSNR, mean / worst picture', 'this', 'best preset or intervals', 'gain'],
    line(`${prompts.tuning} tuning prompts`, tuning),
    line(`${prompts.validation} other prompts`, validation),
  ]);
  const measured = isNoisy
    ? 'too noisy to tell by those of whole runs'
    : `${low.toFixed(2)} to ${high.toFixed(2)} by those of whole runs`;
  const evenText = `${cacheText(even)}, ${even.speedup.toFixed(2)} times as fast`;
  const isEven = cacheText(even) === cacheText(cache);
  const full = cache.plan === undefined ? (cache.steps ?? []) : cache.plan.replace(/[^F]/g, '');
  return `${isWithin ? '' : 'Nothing found within the budget; the nearest is:\n'}\
${cacheText(cache)}
${optionText(cache)}

${full.length} full steps, ${speedup.toFixed(2)} times as fast by the times of calls, ${measured}
${isEven ? 'No list was better than presets and equal intervals.' : `The best preset or equal intervals of the budget: ${evenText}.`}

${table}
${fewerText(result)}${runs} runs in ${formatSeconds(seconds)}${isCutShort ? ', cut short' : ''}
`;
}

/** What as many steps as take the same time come to. */
function fewerText({ fewerSteps, validation }: TuneResult): string {
  if (!fewerSteps || !validation) return '';
  const { steps, psnr, worst } = fewerSteps;
  const advice = psnr >= validation.psnr ? '; take these' : '';
  return `${steps} steps without a cache: ${psnr.toFixed(2)} / ${worst.toFixed(2)} dB on the other prompts${advice}\n`;
}

function budgetOf({ minPsnr, speedup, preset }: Partial<Flags>): TuneBudget | undefined {
  if (minPsnr !== undefined) return { minPsnr };
  if (speedup !== undefined) return { speedup };
  return preset && { preset };
}

/** What was found is printed all the same where it is not worth keeping. */
async function savePlan(
  { plans }: DiffusionPipeline,
  preset: CachePreset,
  result: TuneResult,
  line: StatusLine,
  context: CliContext,
): Promise<void> {
  try {
    line.remark(`cache "${preset}" of such runs is this now, by ${await plans?.save(preset, result)}`);
  } catch (error) {
    context.exitCode = ExitCode.failure;
    // Also with --quiet: the command failed.
    context.err(
      `deepcache: not saved: what was found ${oneLine(messageOf(error).replace(/^result /, ''))}\n`,
    );
  }
}

/** '35dB', '2.5x' or '1/3'. */
function toBudget(text: string): TuneBudget {
  const [, decibels, times, share] = /^(?:([\d.]+) ?dB|([\d.]+)x|1\/([\d.]+))$/i.exec(text) ?? [];
  if (decibels !== undefined) return { minPsnr: toNumber(decibels) };
  const speedup = times ?? share;
  if (speedup === undefined) throw new InvalidArgumentError('It must be as 35dB, 2.5x or 1/3.');
  return { speedup: toNumber(speedup) };
}
