// How far the latents of cached runs lie from those of uncached ones, for candidates that a preset could stand for: a grid of
// samplers, guidance scales and numbers of steps, nothing decoded. What the rule of lib/plans/untuned.ts was chosen from.
//
//   npx tsx bench/preset-cells.ts --resume FILE [--model models/demo] [--captions 6] [--first 0] [--seed 1000] [--threads 1]
//     [--schedulers DDIM,Euler] [--guidance 2.5,7.5] [--steps 25] [--candidates 'quality:interval=2;quality:list=2,power=0.8']
//
// A candidate is a preset's name, of whose full calls it may make no more, and what it does: `interval=N`; `list=N`, as many full
// calls as interval N has, number i of n at (i / n)^power of the run; `preset`, what it stands for today. With `damping=D` features
// are forecast by D. Candidates of a run share the uncached one. Of each picture the file keeps -20 log10 of the latents' relative
// distance, and the same command goes on with it after a kill; means and worst of what the command names are printed, in decibels.
// `--table` runs nothing and prints all that the file has, as JSON: captions of several commands together.
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { CacheOptions } from '../lib/deepcache/index.js';
import { Journal } from '../lib/files/journal.js';
import { DiffusionPipeline } from '../lib/index.js';
import { sampleCaptions } from '../lib/judge/captions.js';
import { machine } from './measure.js';
import { candidateOf } from './preset-candidates.js';

const { values } = parseArgs({
  options: {
    model: { type: 'string', default: 'models/demo' },
    resume: { type: 'string' },
    captions: { type: 'string', default: '6' },
    first: { type: 'string', default: '0' },
    seed: { type: 'string', default: '1000' },
    schedulers: { type: 'string', default: 'DDIM' },
    guidance: { type: 'string', default: '2.5' },
    steps: { type: 'string', default: '25' },
    candidates: { type: 'string', default: 'quality:interval=2;balanced:interval=3;fast:interval=5' },
    threads: { type: 'string', default: '1' },
    table: { type: 'boolean', default: false },
  },
});
if (values.resume === undefined) throw new Error('--resume names the file of results');

/** What a picture's latents are like, after so many U-Net calls. */
interface Found {
  calls: number;
  decibels: number[];
}

/** A line of JSON for each cell and candidate, pictures in the order of their captions. */
function table(file: string): string {
  /** Of each cell, the pictures by their number. */
  const cells = new Map<string, Map<number, number>>();
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n').slice(1);
  for (const [key, found] of new Map(lines.map((line) => JSON.parse(line) as [string, Found]))) {
    const [scheduler, guidance, steps, first, , candidate] = JSON.parse(key);
    const [preset, text] = candidate.split(':');
    // Holding features is what is usual.
    const settings = text.replace(/,damping=0$/, '');
    const cell = JSON.stringify({ scheduler, guidance, steps, calls: found.calls, preset, settings });
    const pictures = cells.get(cell) ?? new Map<number, number>();
    cells.set(cell, pictures);
    for (const [i, value] of found.decibels.entries()) pictures.set(first + i, value);
  }
  const rows = [...cells].map(([cell, pictures]) => {
    const each = [...pictures.values()];
    const mean = each.reduce((sum, value) => sum + value, 0) / each.length;
    const figures = { pictures: each.length, mean: Number(mean.toFixed(2)), worst: Math.min(...each) };
    return JSON.stringify({ ...JSON.parse(cell), ...figures });
  });
  return `[\n${rows.sort().join(',\n')}\n]\n`;
}

if (values.table) {
  process.stdout.write(table(values.resume));
  process.exit();
}

const list = (text: string) => text.split(',');
const [captions, first, seed] = [values.captions, values.first, values.seed].map(Number) as [
  number,
  number,
  number,
];
const prompts = sampleCaptions(first + captions, seed).slice(first);
const candidates = values.candidates.split(';').filter((text) => text !== '');
const pipe = await DiffusionPipeline.fromPretrained(values.model, {
  device: 'cpu',
  threads: Number(values.threads),
  log: () => {},
});
await using journal = await Journal.open<Found>(values.resume, { model: values.model, seed });
const begin = process.cpuUsage();

const decibels = (run: Float32Array, reference: Float32Array) =>
  Array.from({ length: captions }, (_, picture) => {
    const size = reference.length / captions;
    let [apart, whole] = [0, 0];
    for (let i = picture * size; i < (picture + 1) * size; i++) {
      apart += ((run[i] as number) - (reference[i] as number)) ** 2;
      whole += (reference[i] as number) ** 2;
    }
    return Number((-10 * Math.log10(apart / whole)).toFixed(3));
  });

for (const scheduler of list(values.schedulers)) {
  for (const guidance of list(values.guidance)) {
    for (const steps of list(values.steps)) {
      const common = {
        prompt: prompts,
        seeds: prompts.map((_, i) => seed + first + i),
        scheduler: { _class_name: scheduler },
        guidanceScale: Number(guidance),
        steps: Number(steps),
        output: 'latent' as const,
      };
      const run = async (cache: CacheOptions) => {
        const { tensor, stats } = await pipe.generate({ ...common, cache });
        return { latents: (tensor as { data: Float32Array }).data, calls: stats.calls };
      };
      let reference: Awaited<ReturnType<typeof run>> | undefined;
      for (const text of candidates) {
        const [preset = '', settings = ''] = text.split(':');
        const key = JSON.stringify([scheduler, Number(guidance), Number(steps), first, captions, text]);
        let found = journal.get(key);
        if (!found) {
          reference ??= await run(false);
          const { calls } = reference;
          const { latents } = await run(candidateOf(preset, settings, calls));
          found = { calls, decibels: decibels(latents, reference.latents) };
          await journal.add(key, found);
        }
        const { calls, decibels: each } = found;
        const mean = each.reduce((sum, value) => sum + value, 0) / each.length;
        const cell = { scheduler, guidance: Number(guidance), steps: Number(steps), calls, preset, settings };
        const line = [...Object.values(cell), `${mean.toFixed(1)} / ${Math.min(...each).toFixed(1)}`].join(
          '\t',
        );
        process.stdout.write(`${line}\n`);
      }
    }
  }
}
const { user, system } = process.cpuUsage(begin);
process.stderr.write(`${JSON.stringify({ cpuSeconds: (user + system) / 1e6, ...machine() })}\n`);
await pipe.dispose();
