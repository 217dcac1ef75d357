// Factors for plans whose full calls are given, as `deepcache tune` finds them: by the rules of its arithmetic, and from runs of
// their own. For tables of many plans, where searching the full calls of each as well would take hours.
//
//   npx tsx bench/plan-factors.ts --scheduler DDIM --guidance 2.5 --steps 25 --plans FPPF...,FPPPF... [--captions 12] [--seed 1]
//
// A line for each way: the mean PSNR and the worst picture on as many captions as it was found with, and on as many others; first
// for evenly spread full calls of DeepCache at the same cost. Then the option of the way that `tune` would choose, of those that tip
// no picture over that DeepCache does not.
import { parseArgs } from 'node:util';
import { DiffusionPipeline, type StableDiffusionPipeline } from '../lib/index.js';
import { sampleCaptions } from '../lib/judge/captions.js';
import { forecastFactors, RULES } from '../lib/tune/forecast-factors.js';
import { mean, merit, tipsOver } from '../lib/tune/likeness.js';
import { uniformList } from '../lib/tune/lists.js';
import { cacheOf, type ForecastRule, type Schedule } from '../lib/tune/schedule.js';
import { settled } from '../lib/tune/settled.js';
import { Trials } from '../lib/tune/trials.js';
import type { UncachedRun } from '../lib/tune/uncached.js';
import { machine } from './measure.js';

const { values } = parseArgs({
  options: {
    model: { type: 'string', default: 'models/demo' },
    scheduler: { type: 'string', default: 'DDIM' },
    guidance: { type: 'string', default: '2.5' },
    steps: { type: 'string', default: '25' },
    plans: { type: 'string', default: '' },
    captions: { type: 'string', default: '12' },
    seed: { type: 'string', default: '1' },
    threads: { type: 'string', default: '1' },
  },
});

const [captions, seed] = [Number(values.captions), Number(values.seed)];
const prompts = sampleCaptions(2 * captions, seed);
const pipe = (await DiffusionPipeline.fromPretrained(values.model, {
  device: 'cpu',
  threads: Number(values.threads),
  log: () => {},
})) as StableDiffusionPipeline;
const begin = process.cpuUsage();

async function trialsOf(first: number): Promise<Trials> {
  const run = {
    prompt: prompts.slice(first, first + captions),
    seeds: Array.from({ length: captions }, (_, i) => seed + first + i),
    scheduler: { _class_name: values.scheduler },
    guidanceScale: Number(values.guidance),
    steps: Number(values.steps),
  };
  const trials = new Trials(pipe, run, { onRun: () => {}, end: new AbortController().signal });
  await trials.start();
  return trials;
}

const [trials, others] = [await trialsOf(0), await trialsOf(captions)];
const { calls } = trials;
const uncached = trials.uncached as UncachedRun;

function scheduleBy(rule: ForecastRule, steps: readonly number[]): Schedule {
  const factors = steps.flatMap((last, i) => {
    const factorsOf = forecastFactors(uncached, steps[i - 1] ?? -1, last, rule);
    const end = steps[i + 1] ?? calls;
    return Array.from({ length: end - last - 1 }, (_, n) => factorsOf(last + 1 + n));
  });
  const each = (name: 'gamma' | 'clean' | 'noise') => factors.map((one) => one[name]);
  return {
    steps,
    between: 'predict',
    rule,
    gamma: each('gamma'),
    clean: each('clean'),
    noise: each('noise'),
  };
}

for (const plan of values.plans.split(',')) {
  const steps = [...plan].flatMap((letter, call) => (letter === 'F' ? [call] : []));
  const ways: [string, Schedule | undefined][] = RULES.map((rule) => [rule, scheduleBy(rule, steps)]);
  const held = scheduleBy('held', steps);
  ways.push(['runs, clean', await settled(trials, held, ['clean'])]);
  ways.push(['runs, all', await settled(trials, held, ['clean', 'noise', 'gamma'])]);
  let best: { score: number; way: string; schedule: Schedule } | undefined;
  const share = (await pipe.unet.branches())[0]?.share ?? 1;
  const room = Math.floor((steps.length - calls * share) / (1 - share));
  const even: Schedule = { steps: uniformList(calls, Math.max(1, room)), between: 0 };
  let evens: readonly (readonly number[])[] = [];
  for (const [way, schedule] of [['DeepCache', even] as const, ...ways]) {
    if (!schedule) continue;
    const each = [await trials.decibels(schedule), await others.decibels(schedule)];
    const worst = each.map((list) => Math.min(...list));
    if (schedule === even) evens = each;
    const score = merit(each[0] as readonly number[]);
    const shown = each.map((list, i) => `${mean(list).toFixed(1)} / ${worst[i]?.toFixed(1)}`);
    process.stdout.write(`${[steps.length, way.padEnd(12), ...shown].join('\t')}\n`);
    const isSafe = schedule !== even && !each.some((list, i) => tipsOver(list, evens[i] ?? []));
    if (isSafe && (!best || score > best.score)) best = { score, way, schedule };
  }
  if (best) {
    const settings = Object.entries(cacheOf(best.schedule, calls)).map(
      ([key, value]) => `${key}=${Array.isArray(value) ? value.join('+') : value}`,
    );
    process.stdout.write(`${best.way}: --cache ${settings.join(',')}\n`);
  }
}
const { user, system } = process.cpuUsage(begin);
process.stderr.write(`${JSON.stringify({ cpuSeconds: (user + system) / 1e6, ...machine() })}\n`);
await pipe.dispose();
