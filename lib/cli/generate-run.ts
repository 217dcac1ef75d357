import { extname } from 'node:path';
import { invalidArgument } from '../errors.js';
import { readPictureFile } from '../images/source.js';
import { requireFfmpeg, saveVideo, VIDEO_ENDINGS } from '../images/video.js';
// Not from its own module: this one knows all pipelines.
import {
  DiffusionPipeline,
  type GenerateOptions,
  type GenerateResult,
  type Image,
  type StepEvent,
} from '../index.js';
import { readModelIndex } from '../pipelines/loading/model-index.js';
import { checkForFolder } from './check-options.js';
import type { CliContext } from './context.js';
import { modelFolder } from './default-model.js';
import { loadEmbeddings } from './embeddings.js';
import { givenExtras, loadExtras } from './extras.js';
import { familyOf, makesVideo, pipelineOf } from './family.js';
import { withPicture } from './from-picture.js';
import { checkFlags, type GenerateFlags, toGenerateOptions, toLoadOptions } from './generate-options.js';
import { jsonReport, textReport } from './generate-report.js';
import { OutputFile, requireDifferent, STDOUT } from './output-file.js';
import { withPlaces } from './places.js';
import { PreviewOutput } from './preview-output.js';
import { givenPrompts } from './prompt-list.js';
import { checkRefiner, loadRefiner, refined } from './refiner.js';
import { StatusLine } from './status-line.js';
import { StepProgress } from './step-progress.js';

export const PICTURE_ENDINGS: readonly string[] = ['.png', '.jpg', '.jpeg', '.webp'];

/** What `deepcache generate` does. Everything that can be wrong is looked for before a model is loaded. */
export async function generate(asked: GenerateFlags, context: CliContext): Promise<void> {
  const { flags: given, options: repeated, remarks } = await withPicture(asked, context.signal);
  const prompt = await givenPrompts(given, context);
  const flags = await withPlaces({ ...given, ...(prompt && { prompt }) }, context);
  const { folder, note } = modelFolder(flags.model, flags);
  // A folder that is not a model is reported when it is loaded.
  const className = (await readModelIndex(folder, toLoadOptions(flags)).catch(() => undefined))?.className;
  const isVideo = makesVideo(className, flags);
  checkFlags(flags, isVideo);
  const family = familyOf(className, flags);
  const options = { ...repeated, ...toGenerateOptions(flags, family) };
  const { signal } = context;
  const extras = await givenExtras(flags, [flags.prompt ?? []].flat(), signal);
  await checkForFolder(
    folder,
    family,
    { ...options, ...extras.options },
    { ...toLoadOptions(flags), signal },
  );
  await checkRefiner(className, flags);
  for (const picture of [flags.image, flags.mask]) {
    if (picture !== undefined) await readPictureFile(picture, context.signal);
  }
  const line = new StatusLine(context, !flags.quiet);
  const { output, preview } = await prepareOutputs(flags, countOf(options), isVideo, context);
  for (const remark of [note ?? [], remarks].flat()) line.remark(remark);
  const previews = new PreviewOutput(context, line, preview?.files);
  if (options.previewEvery && !previews.isUseful) {
    line.remark('--preview-every: pictures cannot be shown here; give --preview and a file');
    delete options.previewEvery;
  }
  try {
    line.show(`loading ${folder}`);
    const start = performance.now();
    const load = { ...toLoadOptions(flags), log: (message: string) => line.remark(message), signal };
    await using base = await DiffusionPipeline.fromPretrained(folder, load);
    await using pipe = pipelineOf(family, base);
    await loadExtras(pipe, extras, signal);
    const { refiner: second } = flags;
    await using refiner =
      second === undefined ? undefined : await loadRefiner({ ...flags, refiner: second }, load);
    if (refiner) await loadEmbeddings(refiner, extras.embeddings);
    const loading = (performance.now() - start) / 1000;

    // Also where it should be quiet: a file of another name than was asked for must be found.
    for (const file of [output, preview]) if (file?.remark) line.warn(file.remark);
    line.show('reading the prompt');
    const progress = new StepProgress(line);
    const onStep = (event: StepEvent) => {
      previews.update(event);
      progress.update(event);
      if (event.call === event.calls) line.show('decoding');
    };
    // Checked before the model was loaded.
    const run = { ...options, ...extras.options, signal, onStep } as GenerateOptions;
    const result = refiner ? await refined(pipe, refiner, run, flags) : await pipe.generate(run);
    await previews.finish();
    const files = await save(result, output, flags, isVideo, context);
    for (const message of result.notes) line.remark(message);
    line.clear();
    const report = { model: folder, device: pipe.device, files, loading, result };
    if (flags.json) context.out(jsonReport(report));
    else if (!flags.quiet) (output ? context.out : context.err)(textReport(report));
  } finally {
    await previews.settle();
    line.clear();
  }
}

/** Files for the pictures, undefined for standard output, and for previews. */
async function prepareOutputs(
  flags: GenerateFlags,
  count: number,
  isVideo: boolean,
  context: CliContext,
): Promise<{ output?: OutputFile; preview?: OutputFile }> {
  const { output = isVideo ? 'out.mp4' : 'out.png', force } = flags;
  requireDifferent({ output, preview: flags.preview });
  const outputs: { output?: OutputFile; preview?: OutputFile } = {};
  if (output === STDOUT) {
    const why = stdoutProblem(flags, count, isVideo, context);
    if (why) throw invalidArgument('output', why);
  } else {
    const endings = isVideo ? VIDEO_ENDINGS : PICTURE_ENDINGS;
    outputs.output = await OutputFile.prepare(output, { option: 'output', endings, count, force });
    if (extname(output).toLowerCase() === '.mp4') await requireFfmpeg();
  }
  if (flags.preview !== undefined) {
    const options = { option: 'preview', endings: PICTURE_ENDINGS, count, force };
    outputs.preview = await OutputFile.prepare(flags.preview, options);
  }
  return outputs;
}

/** Why a picture cannot go to standard output. */
function stdoutProblem(
  { json }: GenerateFlags,
  count: number,
  isVideo: boolean,
  { isTerminal }: CliContext,
): string | undefined {
  if (isVideo) return '- is for pictures; give a file for a video';
  if (count > 1) return `- takes one picture, this makes ${count}`;
  if (json) return '- and --json both write to standard output';
  return isTerminal ? '- writes a picture to a terminal: send it to a file or program' : undefined;
}

/** Pictures that a run makes, as far as options say; what is wrong with them is reported later. */
function countOf(
  options: ReturnType<typeof toGenerateOptions> & { classLabels?: number[]; batchSize?: number },
): number {
  const { prompt, promptEmbeds, classLabels, batchSize, numImages, numImagesPerPrompt } = options;
  const prompts = Array.isArray(prompt) ? prompt.length : (promptEmbeds?.shape[0] ?? 1);
  const count = (classLabels?.length ?? prompts) * (batchSize ?? numImages ?? numImagesPerPrompt ?? 1);
  return Number.isInteger(count) && count >= 1 && count <= 512 ? count : 1;
}

async function save(
  { images }: GenerateResult,
  output: OutputFile | undefined,
  { quality, fps }: GenerateFlags,
  isVideo: boolean,
  context: CliContext,
): Promise<string[]> {
  const encoding = { ...(quality !== undefined && { quality }) };
  if (!output) {
    context.bytes(await (images[0] as Image).toBuffer('png'));
    return [STDOUT];
  }
  if (isVideo) {
    const options = { ...encoding, ...(fps !== undefined && { fps }) };
    const { length: videos } = output.files;
    const frames = Math.ceil(images.length / videos);
    const files: string[] = [];
    for (let i = 0; i < videos; i++) {
      const own = images.slice(i * frames, (i + 1) * frames);
      files.push(await output.write(i, (part) => saveVideo(own, part, options)));
    }
    return files;
  }
  const files: string[] = [];
  for (const [i, image] of images.entries())
    files.push(await output.write(i, (part) => image.save(part, encoding)));
  return files;
}
