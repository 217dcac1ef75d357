import { spawn } from 'node:child_process';
import {
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Interruption } from '../lib/cli/context.js';
import { DDIMScheduler } from '../lib/entries/schedulers.js';
import { Image, StableDiffusionPipeline } from '../lib/index.js';
import { SafetensorsWriter } from '../weights-tools/safetensors-writer.js';
import { runCli } from './cli-run.js';

const MODEL = 'test/fixtures/sd15-tiny';
let folder: string;
/** The same model without its weights. */
let configs: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'deepcache-cli-'));
  configs = join(folder, 'configs');
  cpSync(MODEL, configs, { recursive: true, filter: (path) => !path.endsWith('.safetensors') });
});
afterAll(() => rmSync(folder, { recursive: true }));

const file = (name: string) => join(folder, name);
const generate = (...args: string[]) =>
  runCli(['generate', '--model', MODEL, '--prompt', 'a red house', '--steps', '4', ...args]);

describe('images', () => {
  test('a PNG of the size asked for, the same for the same seed', async () => {
    const size = ['--width', '72', '--height', '40'];
    for (const [name, seed] of [
      ['a', '5'],
      ['b', '5'],
      ['c', '6'],
    ] as const) {
      const { code, err } = await generate(...size, '--seed', seed, '-o', file(`${name}.png`));
      expect({ code, err }).toEqual({ code: 0, err: '' });
    }
    const bytes = (name: string) => readFileSync(file(`${name}.png`));
    expect(bytes('a').subarray(0, 8).toString('latin1')).toBe('\x89PNG\r\n\x1a\n');
    const image = await Image.open(file('a.png'));
    expect([image.width, image.height]).toEqual([72, 40]);
    expect(image.metadata.parameters).toMatch(/^a red house\nSteps: 4, .*Seed: 5/);
    expect(bytes('a').equals(bytes('b'))).toBe(true);
    expect(bytes('a').equals(bytes('c'))).toBe(false);
  });

  test('several images are numbered, in the format of the ending, in a new folder', async () => {
    const output = file('new/folder/out.webp');
    const { code } = await generate('-p', 'a dog', '--num-images', '2', '--seeds', '1,2,3,4', '-o', output);
    expect(code).toBe(0);
    expect(readdirSync(file('new/folder')).sort()).toEqual([1, 2, 3, 4].map((i) => `out-${i}.webp`));
    expect(readFileSync(file('new/folder/out-4.webp')).toString('latin1', 8, 12)).toBe('WEBP');
  });

  test('options are those of the library', async () => {
    await using pipe = await StableDiffusionPipeline.fromPretrained(MODEL);
    const { images } = await pipe.generate({
      prompt: 'a red house',
      negativePrompt: 'fog',
      steps: 12,
      guidanceScale: 3,
      guidanceRescale: 0.5,
      seeds: [2n ** 63n],
      clipSkip: 1,
      eta: 0.5,
      scheduler: DDIMScheduler.fromConfig(pipe.scheduler, { set_alpha_to_one: true }),
      cache: { interval: 3, branch: 4, schedule: 'nonuniform', center: 5, power: 1.3 },
    });
    const output = file('options.png');
    const { code } = await runCli([
      ...['generate', '--model', MODEL, '--prompt', 'a red house', '--negative-prompt', 'fog'],
      ...['--num-inference-steps', '12', '--guidance-scale', '3', '--guidance-rescale', '0.5'],
      ...['--seeds', '9223372036854775808', '--clip-skip', '1', '--eta', '0.5', '--scheduler', 'DDIM'],
      ...['--scheduler-config', '{"set_alpha_to_one": true}', '--threads', '1', '-o', output],
      ...['--cache', 'interval=3,branch=4,schedule=nonuniform,center=5,power=1.3'],
    ]);
    expect(code).toBe(0);
    const expected = await images[0]?.toBuffer('png', { metadata: false });
    const saved = await (await Image.open(output)).toBuffer('png', { metadata: false });
    expect(saved.equals(expected as Buffer)).toBe(true);
  });

  test("the sampler's own options, by diffusers' names", async () => {
    await using pipe = await StableDiffusionPipeline.fromPretrained(MODEL);
    const options = { sChurn: 1.5, sNoise: 1.01 };
    const { images } = await pipe.generate({
      ...{ prompt: 'a red house', steps: 4, seed: 3 },
      ...{ scheduler: 'Euler', schedulerOptions: options },
    });
    const output = file('churn.png');
    const flags = ['--scheduler', 'Euler', '--scheduler-options', 's_churn=1.5,sNoise=1.01', '--seed', '3'];
    expect((await generate(...flags, '-o', output)).code).toBe(0);
    const saved = await Image.open(output);
    expect(saved.data).toEqual(images[0]?.data);
    expect(saved.metadata.parameters).toContain(
      `Sampler options: ${JSON.stringify(JSON.stringify(options))}`,
    );
  });

  test('noise from a file', async () => {
    const shape = [1, 4, 8, 8];
    const writer = await SafetensorsWriter.create(
      file('noise.safetensors'),
      [{ name: 'noise', dtype: 'F32', shape, bytes: 1024 }],
      {},
    );
    const data = Float32Array.from({ length: 256 }, (_, i) => Math.sin(i));
    await writer.write(new Uint8Array(data.buffer));
    await writer.finish();
    await using pipe = await StableDiffusionPipeline.fromPretrained(MODEL);
    const { images } = await pipe.generate({ prompt: 'a red house', steps: 4, latents: { data, shape } });
    const { code } = await generate('--latents', file('noise.safetensors'), '-o', file('noise.png'));
    expect(code).toBe(0);
    expect((await Image.open(file('noise.png'))).data).toEqual(images[0]?.data);
  });
});

describe('what is printed', () => {
  test('a summary', async () => {
    const output = file('summary.jpg');
    const { out } = await generate(
      '--steps',
      '9',
      '--scheduler',
      'ddim',
      '--cache',
      'fast',
      '-s',
      '7',
      '-o',
      output,
    );
    expect(out).toContain(`${output}  64x64, seed 7\n`);
    expect(out).toMatch(/load .* s, encode .* s, denoise .* s, decode .* s on cpu\n/);
    expect(out).toMatch(/^2 full and 7 cached steps, denoising \d+\.\d\d times as fast; /m);
  });

  test('statistics as JSON', async () => {
    const output = file('json.png');
    const { out } = await generate('--json', '--cache', 'steps=0+2', '--seed', '-2', '-o', output);
    const report = JSON.parse(out);
    expect(report).toMatchObject({ files: [output], width: 64, height: 64, seeds: ['-2'], model: MODEL });
    // PNDM calls the U-Net once more than it has steps.
    expect(report.stats).toMatchObject({ calls: 5, fullCalls: 2, retrieveCalls: 3 });
    expect(report.stats.times.load).toBeGreaterThan(0);
  });

  test('nothing when it should be quiet, remarks otherwise', async () => {
    const few = ['--cache', 'fast', '-o', file('quiet.png')];
    expect(await generate('--quiet', ...few)).toEqual({ code: 0, out: '', err: '' });
    expect((await generate(...few, '--force')).err).toMatch(
      /^deepcache: cache 'fast' is not used: with 5 U-Net calls/,
    );
  });

  test('a progress bar on a terminal', async () => {
    const args = [
      'generate',
      '-m',
      MODEL,
      '-p',
      'x',
      '--steps',
      '40',
      '-c',
      'interval=4',
      '-o',
      file('bar.png'),
    ];
    const { err } = await runCli(args, { columns: 90 });
    const last = err.split('\r').filter((line) => line.startsWith('['));
    expect(last.at(-1)).toMatch(/^\[(#===){10}#\] 41\/41 {2}\d+\.\d\d (it\/s|s\/it) {2}ETA 0\.00 s {2}full/);
    expect(err.endsWith('\r\x1b[K')).toBe(true);
    for (const line of err.split('\r')) expect(line.length).toBeLessThanOrEqual(90 + '\x1b[K'.length);
  });
});

describe('wrong use', () => {
  test.each([
    [['generate', '-o', 'x.png'], /^deepcache: --prompt is missing/],
    [['generate', '--prompt'], /option '-p, --prompt <text>' argument missing/],
    [['generate', '-p', 'x', '--stepz', '3'], /unknown option '--stepz' \(Did you mean --steps\?\)/],
    [
      ['generate', '-p', 'x', '--steps', 'many'],
      /option '--steps <n>' argument 'many' is invalid. It must be a num/,
    ],
    [['generate', '-p', 'x', '--steps', '2.5'], /It must be a whole number/],
    [
      ['generate', '-p', 'x', '-g', 'NaN'],
      /--guidance-scale <x>' argument 'NaN' is invalid. It must be a number/,
    ],
    [['generate', '-p', 'x', '--seed', '18446744073709551616'], /It must fit in 64 bits/],
    [['generate', '-p', 'x', '--seeds', '1,b'], /It must be a whole number/],
    [['generate', '-p', 'x', '--cache', 'quick'], /'quick' is invalid. It must be off, quality, balanced/],
    [['generate', '-p', 'x', '--cache', 'balance'], /It must be off, .* Did you mean balanced\?/],
    [
      ['generate', '-p', 'x', '--cache', 'intervall=3'],
      /There is no cache setting intervall; did you mean interval\?/,
    ],
    [['generate', '-p', 'x', '--cache', 'interval=3,interval=4'], /It sets interval twice/],
    [['generate', '-p', 'x', '--scheduler', 'Magic'], /--scheduler "Magic" is not implemented/],
    [['generate', '-p', 'x', '--scheduler-config', '[1]'], /It is neither a JSON object nor a file with one/],
    [['generate', '-p', 'x', '--dtype', 'fp4'], /Allowed choices are auto, fp32, fp16, bf16, fp8/],
    [['generate', '-p', 'x', '-o', 'x.gif'], /--output must end in .png, .jpg, .jpeg, .webp, got "x.gif"/],
    [['generate', '-p', 'x', '--quality', '101'], /--quality must be a whole number from 1 to 100/],
    [['generate', '-m', MODEL, '-p', 'x', '--device', 'tpu'], /--device must be 'auto', 'cpu', 'cuda'/],
    [['generate', '-p', 'x', 'more'], /too many arguments/],
    [['paint'], /unknown command 'paint'/],
  ])('%j', async (args, message) => {
    const { code, out, err } = await runCli(args);
    expect(err).toMatch(message);
    expect(err).toMatch(/^deepcache: [^\n]+ \[ERR_DEEPCACHE_INVALID_ARGUMENT\]\n$/);
    expect({ code, out }).toEqual({ code: 2, out: '' });
  });

  test.each([
    [['--steps', '0'], /--steps must be a whole number from 1/],
    [['--width', '70'], /--width must be a multiple of 8, got 70; the next is 72/],
    [['--guidance-rescale', '2'], /--guidance-rescale must be a number from 0 to 1/],
    [['--cache', 'interval=0'], /--cache: interval must be a whole number of at least 1/],
    [['--cache', 'steps=0+99', '--steps', '20'], /--cache: steps\[1\] must be a call from 0 to 20/],
    [['--clip-skip', '5'], /--clip-skip must be a whole number from 0 to/],
    [['--scheduler-options', 's_churn=1'], /--scheduler-options: sChurn does not apply to PNDMScheduler/],
    [['--scheduler', 'LMS', '--scheduler-options', 'order=9'], /--scheduler-options: order must be a whole/],
    [['--timesteps', '9,5'], /--timesteps of your own cannot be used with PNDMScheduler/],
    [['--cache', 'interval=2,branch=12'], /--cache: branch must be a whole number from 0 to 11/],
    [['--seeds', '1,2'], /--seeds must be a list of 1 seeds/],
    [['--seed', '1', '--seeds', '1'], /--seeds and --seed exclude each other/],
    [['--vae-tiling', '7'], /--vae-tiling: tileSize must be a whole number from 32/],
    [['--prompt-2', 'y'], /--prompt-2 does not apply to text to image; it is for SDXL \[/],
    [['--negative-prompt', 'a', '--negative-prompt', 'b'], /--negative-prompt has 2 texts for 1 prompts/],
    [['--scheduler-config', '{"eta":3}'], /^deepcache: (?!--eta)/],
    [
      ['--scheduler-config', '{"beta_start":"x"}'],
      /^deepcache: --scheduler-config: PNDMScheduler: beta_start /,
    ],
    [
      ['--scheduler', 'Euler', '--scheduler-config', '{"timestep_spacing":"x"}'],
      /^deepcache: --scheduler-config: EulerDiscreteScheduler: timestep_spacing /,
    ],
    [['--steps', '3', '--num-inference-steps', '4'], /--num-inference-steps is another name of steps/],
  ])('%j, before the weights are looked for', async (args, message) => {
    const { code, err } = await runCli(['generate', '-m', configs, '-p', 'x', '-o', file('no.png'), ...args]);
    expect(err).toMatch(message);
    expect(code).toBe(2);
    expect(existsSync(file('no.png'))).toBe(false);
  });

  test('videos of models that make none', async () => {
    mkdirSync(file('xl'));
    writeFileSync(file('xl/model_index.json'), '{"_class_name":"StableDiffusionXLPipeline"}');
    const { code, err } = await generate('-m', file('xl'), '--frames', '3', '-o', file('no.webp'));
    expect(err).toMatch(
      /^deepcache: --frames makes videos with models .* this is a StableDiffusionXLPipeline/,
    );
    expect(code).toBe(2);
  });

  test('an eta that the sampler does not take is told, and is not in the recipe', async () => {
    const run = ['--eta', '0.5', '--json', '-o'];
    const euler = JSON.parse((await generate('--scheduler', 'Euler', ...run, file('eta.png'))).out);
    expect(euler.notes).toEqual(['eta 0.5 is not used: EulerDiscreteScheduler does not take it']);
    expect(euler.settings[0]).not.toContain('Eta');
    const ddim = JSON.parse((await generate('--scheduler', 'DDIM', ...run, file('eta-ddim.png'))).out);
    expect(ddim.notes).toEqual([]);
    expect(ddim.settings[0]).toContain('Eta: 0.5');
  });

  test.each(['f16', 'FP16', 'float16', 'torch.float16', 'half'])('--dtype %s is fp16', async (dtype) => {
    const { err } = await runCli(['generate', '-p', 'x', '--dtype', dtype, '-o', '-', '--json']);
    // Past the reading of options.
    expect(err).toContain('both write to standard output');
  });

  test('a command is needed', async () => {
    const { code, err } = await runCli([]);
    expect(code).toBe(2);
    expect(err).toMatch(/^Usage: deepcache/);
  });

  test('help is not an error, and lists the exit codes', async () => {
    for (const command of ['generate', 'inspect', 'macs']) {
      const { code, out } = await runCli([command, '--help']);
      expect(code).toBe(0);
      expect(out).toMatch(/Exit codes:\n {2}0 /);
      expect(out).toContain('--verbose');
    }
  });
});

describe('failures', () => {
  test('one line with a code, the stack on request', async () => {
    const args = ['generate', '-m', file('nothing'), '-p', 'x', '-o', file('x.png')];
    const { code, err } = await runCli(args);
    expect(code).toBe(1);
    expect(err).toBe(`deepcache: ${file('nothing')}: does not exist [ERR_DEEPCACHE_INVALID_CONFIG]\n`);
    expect((await runCli([...args, '--verbose'])).err).toMatch(/\n {4}at /);
  });

  test('an image that cannot be written', async () => {
    const { code, err } = await generate('-o', file('a.png/b.png'));
    expect(code).toBe(1);
    expect(err).toMatch(/^deepcache: [^\n]*a\.png[^\n]*\n$/);
  });
});

const onLinux = process.platform === 'linux' ? test : test.skip;

onLinux('standard output that takes nothing is an error in one line', async () => {
  const full = openSync('/dev/full', 'w');
  const args = ['--import', 'tsx', 'lib/cli/main.ts', 'macs', '--model-name', 'sd15'];
  const child = spawn(process.execPath, args, { stdio: ['ignore', full, 'pipe'] });
  closeSync(full);
  let err = '';
  child.stderr?.on('data', (chunk) => {
    err += chunk;
  });
  const code = await new Promise((resolve) => child.on('close', resolve));
  expect(err).toMatch(/^standard output cannot be written: ENOSPC[^\n]* \[ERR_DEEPCACHE_OUTPUT\]\n$/);
  expect(code).toBe(1);
});

describe('Ctrl-C', () => {
  // Half a minute of work.
  const long = ['generate', '-m', MODEL, '-p', 'x', '--steps', '900', '--width', '256', '--height', '256'];

  test('ends a run between its steps', async () => {
    const interrupt = new AbortController();
    let isStopped = false;
    const { code, err } = await runCli([...long, '-o', file('never.png')], {
      columns: 80,
      signal: interrupt.signal,
      onError: (text) => {
        if (!/ [1-9]\d*\/901 /.test(text) || isStopped) return;
        isStopped = true;
        interrupt.abort(new Interruption('SIGINT'));
      },
    });
    expect(code).toBe(130);
    expect(err.endsWith('\r\x1b[Kdeepcache: interrupted\n')).toBe(true);
    expect(existsSync(file('never.png'))).toBe(false);
  });

  test.each([
    ['SIGINT', 130, 'interrupted'],
    ['SIGTERM', 143, 'terminated'],
  ] as const)('%s ends the program with code %i', async (name, code, message) => {
    const output = file(`${message}/out.png`);
    const args = ['--import', 'tsx', 'lib/cli/main.ts', ...long, '-o', output];
    const child = spawn(process.execPath, args);
    let err = '';
    child.stderr.on('data', (text) => {
      err += text;
    });
    const exit = new Promise<unknown>((resolve) =>
      child.on('exit', (code, signal) => resolve(code ?? signal)),
    );
    // The output's folder is the sign that the program is up.
    while (!existsSync(file(message)) && child.exitCode === null) await sleep(20);
    child.kill(name);
    expect(await exit).toBe(code);
    expect(err).toBe(`deepcache: ${message}\n`);
    expect(existsSync(output)).toBe(false);
  });
});
