import { attachPrograms } from '../lib/deepcache/index.js';
import { type CompiledSchedule, type CompileOptions, runTable, Scheduler } from '../lib/schedulers/index.js';

/** A model of one number: what it gives for its input at a timestep. */
export type NumberModel = (input: number, timestep: number) => number;

/** Smooth, bounded, and different everywhere. */
export const wavy: NumberModel = (input, timestep) => Math.tanh(0.3 * input + Math.sin(timestep / 100));

/** Stable Diffusion's training, in a name's configuration. */
export function stable(name: string, config: object = {}): Scheduler {
  return Scheduler.fromConfig({
    _class_name: name,
    beta_start: 0.00085,
    beta_end: 0.012,
    beta_schedule: 'scaled_linear',
    ...config,
  });
}

/** The samples of one number after each call, and what was drawn for it. */
export function sampleNumber(
  scheduler: Scheduler,
  options: CompileOptions,
  { x, model = wavy, noise = () => 0 }: { x: number; model?: NumberModel; noise?: (draw: number) => number },
): { compiled: CompiledSchedule; samples: number[] } {
  const compiled = scheduler.compile(options);
  const samples: number[] = [];
  runTable(
    attachPrograms(
      compiled.rows,
      compiled.rows.map(() => ({ kind: 'full' })),
    ),
    {
      x: Float64Array.of(x),
      noise: (draw) => [noise(draw)],
      model: ({ input, timestep }) => input.map((value) => model(value, timestep[0] as number)),
      onRow: ({ x: after }) => samples.push(after[0] as number),
    },
  );
  return { compiled, samples };
}

/** Compares lists of numbers within a tolerance. */
export function expectClose(actual: readonly number[], expected: readonly number[], tolerance = 1e-6): void {
  const far = actual.length !== expected.length || actual.some((a, i) => !near(a, expected[i], tolerance));
  if (far) throw new Error(`expected ${expected.join(', ')}\n     got ${actual.join(', ')}`);
}

function near(a: number, b: number | undefined, tolerance: number): boolean {
  return b !== undefined && Math.abs(a - b) <= tolerance * (1 + Math.abs(b));
}
