// npx tsx bench/stable-diffusion-cpp.ts PATH_OF_SD [--threads 2] [--pixels 512] [--steps 3] [--rounds 3] [--dtypes fp32,bf16]
//   [--model FOLDER] [--interval 3] [-- FURTHER ARGUMENTS OF SD]
//
// A build of stable-diffusion.cpp (`sd-cli`, `sd`) beside this package on the same weights, in turns: seconds of a guided step, of a
// picture's decoding and of its text, medians over the rounds, and how many times as long as ours it takes. Without
// a folder SD 1.5 is written with synthetic weights to a temporary one (2 GB). Its own times are read from what it prints. Prints JSON
// behind the table.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { DiffusionPipeline } from '../lib/index.js';
import { machine } from './measure.js';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    threads: { type: 'string', default: '2' },
    pixels: { type: 'string', default: '512' },
    steps: { type: 'string', default: '3' },
    rounds: { type: 'string', default: '3' },
    dtypes: { type: 'string', default: 'fp32,bf16' },
    interval: { type: 'string', default: '3' },
    model: { type: 'string' },
  },
});
const [program, ...further] = positionals;
if (program === undefined) throw new Error('name the program of stable-diffusion.cpp to compare with');
const [threads, pixels, steps, rounds, interval] = [
  ...[values.threads, values.pixels, values.steps, values.rounds, values.interval].map(Number),
] as [number, number, number, number, number];
const dtypes = values.dtypes.split(',') as ('fp32' | 'bf16')[];
const prompt = 'a lighthouse on a cliff';

/** Seconds: of a step on average, and of the whole text and picture. */
interface Times {
  readonly encode: number;
  readonly step: number;
  readonly decode: number;
}

function theirs(folder: string): Times {
  const args = [
    ...['-m', folder, '-p', prompt, '-W', `${pixels}`, '-H', `${pixels}`, '--steps', `${steps}`],
    ...['--cfg-scale', '7.5', '--sampling-method', 'euler', '-s', '1', '-t', `${threads}`],
    ...['-o', join(folder, 'theirs.png'), '-v', ...further],
  ];
  const { stdout, stderr, status, error } = spawnSync(program as string, args, {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
  if (error) throw error;
  const said = stdout + stderr;
  if (status !== 0) throw new Error(`${program} ended with status ${status}: ${said.slice(-2000)}`);
  const seconds = (what: string) => {
    const found = new RegExp(`${what} completed, taking ([0-9.]+)`).exec(said);
    if (!found) throw new Error(`${program} did not say how long '${what}' took: ${said.slice(-2000)}`);
    return Number(found[1]);
  };
  return {
    encode: seconds('get_learned_condition'),
    step: seconds('sampling') / steps,
    decode: seconds('decode_first_stage'),
  };
}

async function ours(folder: string, dtype: 'fp32' | 'bf16', cached: boolean): Promise<Times> {
  const pipe = await DiffusionPipeline.fromPretrained(folder, {
    device: 'cpu',
    dtype,
    threads,
    log: () => {},
  });
  try {
    // The first run makes plans, and touches memory for the first time.
    const run = {
      prompt,
      width: pixels,
      height: pixels,
      scheduler: 'Euler',
      guidanceScale: 7.5,
      seed: 1,
    } as const;
    await pipe.generate({ ...run, steps: 1 });
    const count = cached ? interval * Math.max(1, Math.round(steps / interval)) : steps;
    const { stats } = await pipe.generate({ ...run, steps: count, ...(cached && { cache: { interval } }) });
    const { encode, denoise, decode } = stats.times;
    return { encode, step: denoise / count, decode };
  } finally {
    await pipe.dispose();
  }
}

const median = (numbers: readonly number[]) =>
  [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] as number;
const medians = (rows: readonly Times[]): Times => ({
  encode: median(rows.map(({ encode }) => encode)),
  step: median(rows.map(({ step }) => step)),
  decode: median(rows.map(({ decode }) => decode)),
});

const temporary = values.model === undefined ? mkdtempSync(join(tmpdir(), 'deepcache-sd-')) : undefined;
const folder = values.model ?? join(temporary as string, 'sd15');
try {
  if (temporary) {
    const synth = ['weights-tools/main.ts', 'synth', '--model', 'sd15', '--quiet', '-o', folder];
    const { status } = spawnSync(process.execPath, ['--import', 'tsx', ...synth], { stdio: 'inherit' });
    if (status !== 0) throw new Error('no model');
  }
  const kinds = dtypes.flatMap((dtype) => [
    { name: dtype, dtype, cached: false },
    { name: `${dtype}, interval ${interval}`, dtype, cached: true },
  ]);
  const all = new Map<string, Times[]>([
    ['stable-diffusion.cpp', []],
    ...kinds.map(({ name }) => [name, []] as const),
  ] as [string, Times[]][]);
  for (let round = 0; round < rounds; round++) {
    all.get('stable-diffusion.cpp')?.push(theirs(folder));
    for (const { name, dtype, cached } of kinds) all.get(name)?.push(await ours(folder, dtype, cached));
    console.error(`round ${round + 1} of ${rounds}`);
  }
  const other = medians(all.get('stable-diffusion.cpp') as Times[]);
  const rows = [...all].map(([name, times]) => ({ name, times, median: medians(times) }));
  console.log(
    `| seconds, and how many times as fast as stable-diffusion.cpp | text | guided step | decoding |\n|---|---|---|---|`,
  );
  for (const { name, median: own } of rows) {
    const cell = (part: keyof Times) => `${own[part].toFixed(3)} (${(other[part] / own[part]).toFixed(2)}x)`;
    console.log(`| ${name} | ${cell('encode')} | ${cell('step')} | ${cell('decode')} |`);
  }
  const report = {
    benchmark: 'stable-diffusion-cpp',
    ...machine(),
    ...{
      program,
      further,
      threads,
      pixels,
      steps,
      rounds,
      model: values.model ?? 'SD 1.5, synthetic weights',
      rows,
    },
  };
  console.log(`\n${JSON.stringify(report, null, 2)}`);
} finally {
  if (temporary) rmSync(temporary, { recursive: true });
}
