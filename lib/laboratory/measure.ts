import { difference } from '../compare/comparison.js';
import type { Difference } from '../compare/index.js';
import { invalidArgument } from '../errors.js';
import { FidRows } from '../fid/rows.js';
import { Journal } from '../files/journal.js';
import { Image } from '../images/image.js';
import { judgeScene, readCaption, type Verdict } from '../judge/index.js';
import { checkNames } from '../names.js';
import type { AnyPipeline } from '../pipelines/diffusion-pipeline.js';
import type { GenerateOptions } from '../pipelines/inputs/options.js';
import { drawSeed, isRandom } from '../pipelines/inputs/seeds.js';
import type { QualityOptions } from '../quality/quality.js';
import type { QualityReport } from '../quality/report.js';
import { type SummedRun, Sums } from '../quality/sums.js';
import type { LabPolicy } from './policy.js';
import { type PolicyRun, runPolicy } from './run-policy.js';

/** What policies are measured with. */
export interface MeasurePoliciesOptions extends Omit<QualityOptions, 'batch' | 'repeats'> {
  /** A file that holds what was measured so far: the same call goes on from there. */
  resume?: string;
}

const NAMES = ['prompts', 'seed', 'keep', 'judge', 'clip', 'fid', 'stop', 'resume', 'onProgress'];

/** What is known of a picture, as a line of a journal has it. */
interface Entry {
  /** psnr, ssim and latentL2 as text: JSON has no Infinity. */
  difference: [string, string, string];
  stats: SummedRun['stats'];
  macsShare: number;
  notes: readonly string[];
  verdicts?: readonly Verdict[];
  clipScore?: number;
  /** Of Inception, fp32 in base64. */
  features?: string;
  /** A PNG in base64, of pictures that are shown. */
  image?: string;
}

/** diffusers' default. */
const USUAL_STEPS = 50;

const UNCACHED: LabPolicy = {
  ...{ family: 'no cache', name: 'no cache', reference: '', branches: [], steps: (steps) => steps },
  means: { cache: () => false },
};

/**
 * Measures policies over many prompts, each picture by itself, since policies may decide by what they see: without a
 * cache, then with every policy, all of them stepped through call by call. Multiply-accumulates are counted as
 * they are computed. Times are those of the U-Net's calls, each with its hand-over and what a step table computes once for
 * a run: good to compare policies, not to say what a run takes.
 *
 * @param options those of the pipeline's `generate`, without prompts, seeds and cache.
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_ARGUMENT; ERR_DEEPCACHE_UNSUPPORTED for runs that the laboratory does not
 * know (samplers that draw noise, inputs beside text); what `generate` throws, the signal's reason after an abort.
 */
export async function measurePolicies(
  pipe: AnyPipeline,
  options: GenerateOptions,
  policies: readonly LabPolicy[],
  measuring: MeasurePoliciesOptions,
): Promise<QualityReport> {
  checkNames(measuring, NAMES);
  const { prompts, seed: given = 0, keep = 8, judge, clip, fid, stop, resume, onProgress } = measuring;
  if (prompts.length === 0) throw invalidArgument('prompts', 'must be at least one');
  if (policies.length === 0) throw invalidArgument('policies', 'must be at least one');
  const { numInferenceSteps, ...common } = options;
  const steps = options.steps ?? numInferenceSteps ?? pipe.defaults.steps ?? USUAL_STEPS;
  const seed = isRandom(given) ? drawSeed() : given;
  const { signal: _, ...told } = options;
  await using journal =
    resume === undefined
      ? undefined
      : await Journal.open<Entry>(resume, {
          ...{ model: pipe.model, options: told, prompts, seed, keep },
          ...(fid && { inception: fid.network }),
        });
  const shares = (await pipe.unet.branches()).map(({ share }) => share);
  const all = [UNCACHED, ...policies];
  const sums = all.map(() => new Sums(keep));
  const fidRows = fid && new FidRows(fid);
  const worst = all.map(() => Number.POSITIVE_INFINITY);
  const warm = new Set<LabPolicy>();
  const run = async (policy: LabPolicy, picture: number) => {
    const own = {
      ...common,
      prompt: prompts[picture] as string,
      seed: seed + picture,
      steps: policy.steps(steps),
    };
    // Plans are made in the first run of a kind.
    if (!warm.has(policy)) await runPolicy(pipe, own, policy, shares);
    warm.add(policy);
    return runPolicy(pipe, own, policy, shares);
  };
  let done = 0;
  let calls = 0;
  for (const [picture, prompt] of prompts.entries()) {
    let reference: PolicyRun | undefined;
    const entries: Entry[] = [];
    for (const [i, policy] of all.entries()) {
      const key = `${picture}: ${policy.name}`;
      let entry = journal?.get(key);
      if (!entry) {
        options.signal?.throwIfAborted();
        // What is known already counts all the same.
        if (stop?.aborted) break;
        const { name } = policy;
        await onProgress?.({
          picture,
          batch: 1,
          pictures: prompts.length,
          name,
          run: i + 1,
          runs: all.length,
        });
        reference ??= await run(UNCACHED, picture);
        const made = policy === UNCACHED ? reference : await run(policy, picture);
        const apart = differenceOf(made, reference);
        const isShown = i === 0 || picture < keep || apart.psnr < (worst[i] as number);
        const verdicts = judge && judgeScene(readCaption(prompt), judge.read(made.image));
        const clipScore = (await clip?.scores([made.image], [prompt], options.signal))?.[0];
        const features = await fid?.features([made.image], options.signal);
        entry = {
          difference: [String(apart.psnr), String(apart.ssim), String(apart.latentL2)],
          stats: statsOf(made, reference),
          macsShare: made.cost / reference.cost,
          notes: made.notes,
          ...(verdicts && { verdicts }),
          ...(clipScore !== undefined && { clipScore }),
          ...(features && { features: toBase64(features) }),
          ...(isShown && {
            image: (await made.image.toBuffer('png', { metadata: false })).toString('base64'),
          }),
        };
        await journal?.add(key, entry);
      }
      worst[i] = Math.min(worst[i] as number, Number(entry.difference[0]));
      entries.push(entry);
    }
    if (entries.length < all.length) break;
    const base = entries[0] as Entry;
    calls = base.stats.calls;
    for (const [i, entry] of entries.entries()) {
      const { verdicts, clipScore, features } = entry;
      if (features !== undefined) await fidRows?.addFeatures(i, fromBase64(features), options.signal);
      (sums[i] as Sums).add(await summed(all[i] as LabPolicy, entry, base), {
        ...(verdicts && { verdicts: [verdicts] }),
        ...(clipScore !== undefined && { clipScores: [clipScore] }),
      });
    }
    done = picture + 1;
  }
  if (done === 0) stop?.throwIfAborted();
  const rows = sums.map((sum, i) => {
    const { family, reference } = all[i] as LabPolicy;
    return { ...sum.row(sums[0] as Sums), policy: { family, reference } };
  });
  return {
    prompts: prompts.slice(0, done),
    ...{ seed, device: pipe.device, calls },
    rows: (await fidRows?.measured(rows, options.signal)) ?? rows,
  };
}

const toBase64 = ({ buffer }: Float32Array) => Buffer.from(buffer).toString('base64');
const fromBase64 = (text: string) => new Float32Array(Uint8Array.from(Buffer.from(text, 'base64')).buffer);

function differenceOf(made: PolicyRun, reference: PolicyRun): Difference {
  return difference([made.image], { data: made.latents }, [reference.image], { data: reference.latents });
}

/** Of U-Net calls alone, which are as many as without a cache: the laboratory's own time counts for nothing. */
function statsOf({ stats }: PolicyRun, reference: PolicyRun): SummedRun['stats'] {
  const { times, callTimes, fullCalls, retrieveCalls, predictedCalls } = stats;
  return {
    times: { ...times, denoise: callTimes.full + callTimes.retrieve },
    callTimes,
    calls: reference.stats.calls,
    ...{ fullCalls, retrieveCalls, predictedCalls },
  };
}

async function summed({ name }: LabPolicy, entry: Entry, base: Entry): Promise<SummedRun> {
  const { difference: texts, stats, macsShare, notes, image } = entry;
  const [psnr, ssim, latentL2] = texts.map(Number) as [number, number, number];
  return {
    ...{ name, cache: false, stats, macsShare, notes },
    differences: [{ psnr, ssim, latentL2 }],
    images: [image === undefined ? undefined : await Image.open(Buffer.from(image, 'base64'))],
    speedups: [base.stats.times.denoise / stats.times.denoise],
  };
}
