import { attachPrograms } from '../../lib/deepcache/programs.js';
import { alphasCumprod, computeBetas, rescaleZeroTerminalSnr } from '../../lib/schedulers/betas.js';
import type { CompileOptions } from '../../lib/schedulers/compiled.js';
import { type CompiledSchedule, runTable, Scheduler } from '../../lib/schedulers/index.js';
import type { GoldenTensor } from './safetensors.js';

/** A case of kind `scheduler_trace` or `betas` (see the manifest of goldens/sd/schedulers). */
export interface SchedulerCase {
  kind: string;
  scheduler?: string;
  config?: Record<string, unknown>;
  num_inference_steps?: number | null;
  begin_index?: number;
  order?: number;
  init_noise_sigma?: number;
  step_kwargs?: Record<string, unknown>;
  /** SA-Solver's tau_func, where it is a constant. */
  tau?: number;
  set_timesteps_kwargs?: Record<string, unknown>;
  tensors: Record<string, unknown>;
  tolerance: { atol: number; rtol: number };
}

export interface CheckResult {
  ok: boolean;
  detail: string;
}

type Tensors = (role: string) => GoldenTensor;

/** The range of the betas goldens (Stable Diffusion's). */
const BETA_START = 0.00085;
const BETA_END = 0.012;

/** Thrown by the comparisons below, turned into a failed result. */
class Mismatch extends Error {}

/**
 * Runs a scheduler_trace or betas case; `tensors` reads a role of the case, `version` is the release of diffusers that
 * made it.
 */
export function checkSchedulerTrace(
  golden: SchedulerCase,
  tensors: Tensors,
  version: string | undefined,
): CheckResult {
  try {
    return {
      ok: true,
      detail: golden.kind === 'betas' ? checkBetas(golden, tensors) : checkTrace(golden, tensors, version),
    };
  } catch (error) {
    return { ok: false, detail: error instanceof Mismatch ? error.message : String(error) };
  }
}

/** Python's step() and set_timesteps() arguments as compile options. */
export function compileOptions(golden: SchedulerCase): CompileOptions {
  const options: Record<string, unknown> = {
    ...(typeof golden.num_inference_steps === 'number' && { steps: golden.num_inference_steps }),
    ...(golden.begin_index && { strengthStart: golden.begin_index }),
  };
  for (const [key, value] of Object.entries({ ...golden.set_timesteps_kwargs, ...golden.step_kwargs })) {
    options[key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())] = value;
  }
  options.sigmas = withoutFinalZero(options.sigmas);
  return options as CompileOptions;
}

/** diffusers' lists of sigmas end with the zero that ours leave out. */
export function withoutFinalZero(sigmas: unknown): unknown {
  return Array.isArray(sigmas) && sigmas.at(-1) === 0 ? sigmas.slice(0, -1) : sigmas;
}

/** The scheduler of a case. A class that is not implemented is ERR_DEEPCACHE_UNSUPPORTED. */
export function goldenScheduler(golden: SchedulerCase, version: string | undefined): Scheduler {
  return Scheduler.fromConfig({
    ...golden.config,
    ...(golden.tau !== undefined && { tau_func: golden.tau }),
    _class_name: golden.scheduler,
    _diffusers_version: version,
  });
}

function checkTrace(golden: SchedulerCase, tensors: Tensors, version: string | undefined): string {
  const scheduler = goldenScheduler(golden, version);
  const compiled = scheduler.compile(compileOptions(golden));
  const compare = comparer(golden);
  const report = [
    compare('timesteps', compiled.schedulerTimesteps, numbers(tensors('timesteps'))),
    compare('init_noise_sigma', [compiled.initNoiseSigma], [golden.init_noise_sigma as number]),
    compare('order', [scheduler.order], [golden.order as number]),
  ];
  if ('sigmas' in golden.tensors) {
    report.push(compare('sigmas', compiled.sigmas ?? [], numbers(tensors('sigmas'))));
  }
  const draws = 'noise_draws' in golden.tensors ? tensors('noise_draws') : undefined;
  compare('number of noise draws', [compiled.noiseDraws], [draws?.shape[0] ?? 0]);

  const states = runFakeModel(golden, compiled, tensors, draws);
  for (const [role, field] of [
    ['samples', 'x'],
    ['pred_x0', 'x0'],
    ['scaled_input', 'input'],
  ] as const) {
    if (!(role in golden.tensors)) continue;
    const expected = numbers(tensors(role));
    const compared = role === 'samples' ? turnsOf(states, compiled) : states.filter(isOfCall);
    report.push(
      compare(
        role,
        compared.flatMap((state) => [...state[field]]),
        expected,
      ),
    );
  }

  if (!('add_noise_out' in golden.tensors))
    return `largest error / tolerance: ${Math.max(...report).toFixed(3)}`;
  const t = numbers(tensors('add_noise_t'))[0] as number;
  const noisy = scheduler.addNoise(numbers(tensors('add_noise_x0')), numbers(tensors('add_noise_noise')), t, {
    timesteps: compiled.schedulerTimesteps,
    ...(compiled.sigmas && { sigmas: compiled.sigmas }),
  });
  report.push(compare('add_noise_out', noisy, numbers(tensors('add_noise_out'))));
  return `largest error / tolerance: ${Math.max(...report).toFixed(3)}`;
}

interface State {
  x: Float64Array;
  x0: Float64Array;
  input: Float64Array;
  program?: number | undefined;
}

const isOfCall = ({ program }: State) => program !== undefined;

/** The reference's loop has a turn for each timestep of its list; one that calls nothing is as many rows as it draws. */
function turnsOf(states: readonly State[], compiled: CompiledSchedule): State[] {
  const turns = compiled.schedulerTimesteps.length;
  const uncalled = states.filter((state) => !isOfCall(state)).length;
  if (uncalled === 0) return [...states];
  const stride = uncalled / (turns - compiled.timesteps.length);
  let behind = 0;
  return states.filter((state) => {
    behind = isOfCall(state) ? 0 : behind + 1;
    return behind % stride === 0;
  });
}

/** The manifest's fake model: out = tanh(0.3 * scaled_input + sin(t / 100)). */
function runFakeModel(
  golden: SchedulerCase,
  compiled: CompiledSchedule,
  tensors: Tensors,
  draws: GoldenTensor | undefined,
) {
  const states: State[] = [];
  const noise = numbers(tensors('noise'));
  const size = noise.length;
  const values = draws ? numbers(draws) : [];
  const start = 'start' in golden.tensors ? tensors('start') : undefined;
  runTable(
    attachPrograms(
      compiled.rows,
      compiled.rows.map(() => ({ kind: 'full' })),
    ),
    {
      x: start
        ? Float64Array.from(numbers(start))
        : Float64Array.from(noise, (v) => v * compiled.initNoiseSigma),
      noise: (index) => values.slice(index * size, (index + 1) * size),
      // The reference's mask is 1 where the picture stays.
      ...('mask' in golden.tensors && {
        mask: numbers(tensors('mask')).map((known) => 1 - known),
        initLatents: numbers(tensors('original_image')),
      }),
      model: ({ input, timestep }) =>
        input.map((v) => Math.tanh(0.3 * v + Math.sin((timestep[0] as number) / 100))),
      onRow: ({ x, x0, input, program }) =>
        states.push({ x: x.slice(), x0: x0.slice(), input: input.slice(), program }),
    },
  );
  return states;
}

function checkBetas(golden: SchedulerCase, tensors: Tensors): string {
  const compare = comparer(golden);
  const worst: number[] = [];
  for (const role of Object.keys(golden.tensors)) {
    const match = /^(betas|alphas_cumprod)_(linear|scaled_linear|squaredcos_cap_v2)(_zero_snr)?$/.exec(role);
    if (!match) throw new Mismatch(`unknown role ${role}`);
    const schedule = match[2] as 'linear' | 'scaled_linear' | 'squaredcos_cap_v2';
    const expected = numbers(tensors(role));
    const betas = computeBetas(schedule, BETA_START, BETA_END, expected.length);
    const rescaled = match[3] ? rescaleZeroTerminalSnr(betas) : betas;
    worst.push(compare(role, match[1] === 'betas' ? rescaled : alphasCumprod(rescaled), expected));
  }
  return `largest error / tolerance: ${Math.max(...worst).toFixed(3)}`;
}

/** Compares with the case's tolerance and returns the largest error as a fraction of it. */
function comparer({ tolerance }: SchedulerCase) {
  return (role: string, actual: ArrayLike<number>, expected: ArrayLike<number>): number => {
    if (actual.length !== expected.length) {
      throw new Mismatch(`${role}: ${actual.length} values instead of ${expected.length}`);
    }
    let worst = 0;
    for (let i = 0; i < expected.length; i++) {
      const [a, b] = [actual[i] as number, expected[i] as number];
      const ratio = Math.abs(a - b) / (tolerance.atol + tolerance.rtol * Math.abs(b));
      if (!(ratio <= 1)) throw new Mismatch(`${role}[${i}] is ${a} instead of ${b}`);
      worst = Math.max(worst, ratio);
    }
    return worst;
  };
}

function numbers({ data }: GoldenTensor): number[] {
  return Array.from(data as ArrayLike<number | bigint>, Number);
}
