import { writeFile } from 'node:fs/promises';
import { Command } from 'commander';
import { ClipModel } from '../clip-score/index.js';
import type { ComparablePipeline } from '../compare/index.js';
import { nameOf } from '../compare/settings.js';
import type { CacheOptions } from '../deepcache/index.js';
import { invalidArgument } from '../errors.js';
// Not from its own module: this one knows all pipelines.
import { DiffusionPipeline } from '../index.js';
import { Judge } from '../judge/index.js';
import { measurePolicies, POLICY_FAMILIES, policiesOf, policyOfCache } from '../laboratory/index.js';
import type { DeviceOptions } from '../native/device.js';
import type { GenerateOptions } from '../pipelines/inputs/options.js';
import { drawSeed, isRandom } from '../pipelines/inputs/seeds.js';
import {
  accuracyTable,
  defaultGrid,
  frontTable,
  measureQuality,
  type QualityEvent,
  qualityJson,
  qualityNotes,
  qualityPage,
  qualityTable,
} from '../quality/index.js';
import { toCount, toWhole } from './arguments.js';
import { CACHE_HELP, CACHE_SETTINGS_HELP, toCacheOptions } from './cache-option.js';
import { checkSettings, familyOfFolder } from './check-options.js';
import { type CliContext, exitCodeOf } from './context.js';
import { modelFolder } from './default-model.js';
import { givenExtras, loadExtras } from './extras.js';
import { checkFidFlags, FID_HELP, type FidFlags, openFid, prepareFid } from './fid-flags.js';
import { formatMarkdown, formatSeconds, formatTable } from './format.js';
import { generateCommand } from './generate.js';
import {
  checkFlags,
  type GenerateFlags,
  MEASURED_FLAGS,
  toGenerateOptions,
  toLoadOptions,
} from './generate-options.js';
import { FLUSHED, HTML, OutputFile } from './output-file.js';
import { withPlaces } from './places.js';
import { PROMPTS_HELP, promptList } from './prompt-list.js';
import { EXIT_CODES_HELP } from './run.js';
import { StatusLine } from './status-line.js';

interface Flags extends Omit<GenerateFlags, 'cache' | 'seed' | 'output'>, FidFlags {
  cache?: CacheOptions[];
  prompts?: string;
  captions?: number;
  seed: number;
  judge?: boolean;
  clip?: string;
  batch?: number;
  repeats?: number;
  policies?: string;
  resume?: string;
  html?: string;
  pictures?: number;
  markdown?: boolean;
}

/** `deepcache quality`: what cache settings cost and gain, over many prompts. */
export function qualityCommand(context: CliContext): Command {
  const command = new Command('quality')
    .description(
      'Measure over many prompts how much DeepCache settings change pictures, and how fast they are.',
    )
    .optionsGroup('What to measure:')
    .option(
      '-c, --cache <settings>',
      `repeat it for several: ${CACHE_HELP} (default: intervals 2, 3, 5, 8, 10, branches 0 to 3, both schedules)`,
      (text, previous: CacheOptions[] | undefined) => [...(previous ?? []), toCacheOptions(text)],
    )
    .option('--prompts <file>', PROMPTS_HELP)
    .option('--captions <n>', "without prompts: captions of the demo model's world (default: 16)", toCount)
    .option('-s, --seed <n>', 'of the first picture and the captions; -1 picks one at random', toWhole, 1000)
    .option('--judge', "count how much of the captions the pictures show (demo model's world only)")
    .option('--clip <folder>', 'a CLIP model, as transformers saves it: how well pictures fit their prompts')
    .option('--fid <place>', FID_HELP.fid)
    .option('--inception <file>', FID_HELP.inception)
    .option('--save-stats <file>', FID_HELP.saveStats)
    .option(
      '--policies <list>',
      `instead of settings, policies of the laboratory, each picture by itself: all, or of ${POLICY_FAMILIES.map(({ name }) => name).join(', ')}, with settings as easycache:threshold=0.1; every --cache is one more`,
    )
    .option('--resume <file>', 'with --policies: what was measured is kept in it, to go on from there')
    .option('--batch <n>', 'pictures per run (default: 8)', toCount)
    .option(
      '--repeats <n>',
      'runs of each setting; the median time counts (default: 3 to 5 for short runs, else 1)',
      toCount,
    )
    .option('--html <file>', 'a page with the figures and pictures, in one file')
    .option('--markdown', 'print the figures as tables in Markdown')
    .option('--pictures <n>', 'prompts whose pictures the page shows (default: 8)', toWhole);
  for (const option of generateCommand(context).options) {
    if (MEASURED_FLAGS.includes(option.attributeName())) command.addOption(option);
  }
  return command
    .optionsGroup('Options:')
    .addHelpText('after', `${CACHE_SETTINGS_HELP}\n${EXIT_CODES_HELP}`)
    .action((flags: Flags) => run(flags, context));
}

async function run(names: Flags, context: CliContext): Promise<void> {
  const flags = await withPlaces(names, context);
  const {
    cache,
    judge,
    clip: clipFolder,
    fid: fidPlace,
    inception,
    saveStats,
    markdown,
    batch,
    repeats,
    policies: policyList,
    resume,
    html,
    captions,
    seed: given,
    pictures,
    prompts: file,
    prompt,
    ...rest
  } = flags;
  const policies = policyList === undefined ? undefined : policiesOf(policyList);
  if (policies && (batch ?? repeats) !== undefined) {
    const name = batch === undefined ? 'repeats' : 'batch';
    throw invalidArgument(name, 'cannot be used together with policies: each picture is run once, by itself');
  }
  if (!policies && resume !== undefined) throw invalidArgument('resume', 'needs policies');
  checkFidFlags({ fid: fidPlace, inception, saveStats });
  const settings = cache?.filter((setting) => setting !== false) ?? (policies ? [] : defaultGrid());
  if (settings.length === 0 && !policies) throw invalidArgument('cache', 'needs a setting other than off');
  const seed = isRandom(given) ? drawSeed() : given;
  const isDemo = flags.model === undefined || captions !== undefined || judge === true;
  const prompts = await promptList(
    { prompt, prompts: file },
    { count: captions ?? 16, seed, isDemo },
    context,
  );
  if (fidPlace !== undefined && prompts.length < 2)
    throw invalidArgument('fid', 'takes two prompts or more: one picture has no covariance');
  checkFlags(rest as GenerateFlags, false);
  const { folder, note } = modelFolder(flags.model, { ...flags, prompt: prompts });
  const family = await familyOfFolder(folder, rest as GenerateFlags);
  const { prompt: _, ...options } = toGenerateOptions({ ...rest, prompt: prompts } as GenerateFlags, family);
  const { signal } = context;
  const known = { ...toLoadOptions(rest as GenerateFlags), signal };
  const extras = await givenExtras(flags, prompts, signal);
  const run = { ...options, ...extras.options };
  await checkSettings(folder, family, { ...run, prompt: prompts[0] }, settings, known);
  const line = new StatusLine(context, !flags.quiet);
  const { force } = flags;
  const page = html === undefined ? undefined : await OutputFile.prepare(html, { ...HTML, force });
  if (note) line.remark(note);
  try {
    const fidFlags = { fid: fidPlace, inception, saveStats, force, resume };
    // Before all else: the reference may have files that are no pictures.
    using opened = await openFid(fidFlags, {
      line,
      signal,
      threads: toLoadOptions(rest as GenerateFlags).threads,
    });
    line.show(`loading ${folder}`);
    await using pipe = await DiffusionPipeline.fromPretrained(folder, {
      ...toLoadOptions(rest as GenerateFlags),
      log: (message) => line.remark(message),
      signal,
    });
    await loadExtras(pipe, extras, signal);
    if (page?.remark) line.warn(page.remark);
    // Before the runs: it may be no model.
    await using clip =
      clipFolder === undefined
        ? undefined
        : await ClipModel.fromPretrained(clipFolder, { ...deviceOf(rest as GenerateFlags), signal });
    const statsFile = await prepareFid(opened, fidFlags, { line, signal, pictures: prompts.length });
    line.show('warming up');
    const timeLeft = stopwatch();
    const common = {
      // Ctrl-C ends it, and what was done is shown all the same.
      ...{ prompts, seed, stop: signal },
      ...(pictures !== undefined && { keep: pictures }),
      ...(clip && { clip }),
      ...(opened && { fid: opened.fid }),
      ...(judge && { judge: await Judge.load() }),
      onProgress: (event: QualityEvent) => line.show(`${progressText(event)}${timeLeft(event)}`, false),
    };
    const report = policies
      ? await measurePolicies(
          pipe,
          run,
          [...policies, ...settings.map((setting) => policyOfCache(setting, nameOf(setting)))],
          { ...common, ...(resume !== undefined && { resume }) },
        )
      : await measureQuality(pipe as unknown as ComparablePipeline<GenerateOptions>, run, settings, {
          ...common,
          ...(batch !== undefined && { batch }),
          ...(repeats !== undefined && { repeats }),
        });
    line.clear();
    const files: string[] = statsFile === undefined ? [] : [statsFile];
    if (page)
      files.push(await page.write(0, async (part) => writeFile(part, await qualityPage(report), FLUSHED)));
    // What FID's figures are worth was said before.
    const said = opened?.fid.notes(prompts.length) ?? [];
    for (const text of qualityNotes(report)) if (!said.includes(text)) line.remark(text);
    if (flags.json) {
      context.out(`${JSON.stringify({ model: folder, files, ...qualityJson(report) }, null, 2)}\n`);
    } else if (!flags.quiet) {
      const { device, calls } = report;
      const count = report.prompts.length;
      const part = count < prompts.length ? ` of ${prompts.length}` : '';
      const about = `${count}${part} prompts, ${calls} U-Net calls, seeds from ${seed}, on ${device}`;
      // Of so many policies the kinds of things would be a long table.
      const details = policies ? frontTable(report) : accuracyTable(report);
      const tables = [qualityTable(report), details].filter((table) => table.length > 0);
      context.out(
        `${tables.map(markdown ? formatMarkdown : formatTable).join('\n')}\n${[about, ...files].join('\n')}\n`,
      );
    }
    if (signal.aborted) context.exitCode = exitCodeOf(signal);
  } finally {
    line.clear();
  }
}

/** Where the model runs: so does what looks at its pictures. */
function deviceOf(flags: GenerateFlags): DeviceOptions {
  const { device, threads } = toLoadOptions(flags);
  return { ...(device !== undefined && { device }), ...(threads !== undefined && { threads }) };
}

function progressText({ picture, pictures, name, run, runs }: QualityEvent): string {
  return `picture ${picture + 1} of ${pictures}, run ${run} of ${runs}: ${name}`;
}

/** Tells how long it will take, from what was done since the first run. */
function stopwatch(): (event: QualityEvent) => string {
  const start = performance.now();
  return ({ picture, batch, pictures, run, runs }) => {
    const done = (picture + (batch * (run - 1)) / runs) / pictures;
    if (done === 0) return '';
    const seconds = ((performance.now() - start) / 1000) * (1 / done - 1);
    return `, ${formatSeconds(seconds)} left`;
  };
}
