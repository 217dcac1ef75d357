import { invalidArgument } from '../errors.js';
import { estimateX0 } from './clean-latents.js';
import { at, type FloatArray, guide } from './guide.js';
import type { Halves, PerSample, Program, Slot, StepRow, StepTable, Term } from './table.js';

/** What the model is called with. Everything is laid out sample by sample. */
export interface ModelCall<A> {
  /** inputScale * x, one batch. */
  input: A;
  /** One timestep per sample. */
  timestep: number[];
  /** What is to be run. */
  program: Program;
  /** What the model returns: two batches for 'both', negative prompts first, three for 'all', else one. */
  halves: Halves;
  /** Index of the row. */
  row: number;
  /** The input is degraded: what the model returns is the last output alone, which has the first one's conditions. */
  degraded?: boolean;
}

/** The state after a row, for tests and previews. The arrays are the interpreter's own: copy what you keep. */
export interface RowState<A> {
  /** Index of the row. */
  row: number;
  /** The latents after the row. */
  x: A;
  /** The clean latents that it predicts. */
  x0: A;
  /** The output of the model, after guidance. */
  m: A;
  /** What the model was called with. */
  input: A;
  /** The program that ran; none when m was predicted, or the row calls nothing. */
  program?: number;
  /** Of a row that had to choose, what it went by: see Skip. */
  change?: number;
}

/** What a table is run with. */
export interface RunTableOptions<A extends FloatArray> {
  /** The latent, times initNoiseSigma; is not changed. Its type decides how slots are stored. */
  x: A;
  /** Number of samples in x, 1 by default. */
  batch?: number;
  /** What guidance combines, 2 by default: a batch of each. */
  outputs?: 2 | 3;
  /** The noise draws by index, each of x's length; needed if a row uses noise. */
  noise?: readonly ArrayLike<number>[] | ((index: number) => ArrayLike<number>);
  /** For rows with a blend, each of x's length. */
  initLatents?: ArrayLike<number>;
  /** The noise that the kept part is noised with. */
  noise0?: ArrayLike<number>;
  /** 1 where the picture is repainted, 0 where it stays. */
  mask?: ArrayLike<number>;
  /**
   * For programs that degrade: clean latents of x's length, estimated, to what is to be seen of them. `signal` times the
   * difference is added to x.
   */
  degrade?: (clean: A, row: number) => ArrayLike<number>;
  /** Called after every row. */
  onRow?: (state: RowState<A>) => void;
}

/**
 * Runs a table in plain JavaScript with a model of yours. This is the reference of what the native code does:
 * sums are formed in double precision and stored in x's type.
 * Returns the final x. Throws ERR_DEEPCACHE_INVALID_ARGUMENT for inputs that are missing or of the wrong length.
 */
export function runTable<A extends FloatArray>(
  table: StepTable,
  options: RunTableOptions<A> & { model: (call: ModelCall<A>) => ArrayLike<number> },
): A {
  const run = interpret(table, options);
  let next = run.next();
  while (!next.done) next = run.next(options.model(next.value));
  return next.value;
}

/** {@link runTable} for a model that answers with a promise. */
export async function runTableAsync<A extends FloatArray>(
  table: StepTable,
  options: RunTableOptions<A> & { model: (call: ModelCall<A>) => Promise<ArrayLike<number>> },
): Promise<A> {
  const run = interpret(table, options);
  let next = run.next();
  while (!next.done) next = run.next(await options.model(next.value));
  return next.value;
}

function* interpret<A extends FloatArray>(
  table: StepTable,
  options: RunTableOptions<A>,
): Generator<ModelCall<A>, A, ArrayLike<number>> {
  const batch = options.batch ?? 1;
  const size = options.x.length;
  if (!Number.isInteger(batch) || batch < 1 || size % batch !== 0) {
    throw invalidArgument('batch', `must divide the ${size} values of x, got ${batch}`);
  }
  const per = size / batch;
  const create = () => options.x.slice().fill(0) as A;
  const slots = new Map<Slot, A>([['x', options.x.slice() as A]]);
  const slot = (name: Slot): A => {
    const existing = slots.get(name);
    if (existing) return existing;
    const fresh = create();
    slots.set(name, fresh);
    return fresh;
  };
  const sum = (terms: readonly Term[]): A => {
    const sources = terms.map((term) => ({ values: slot(term.slot), coefficient: term.coefficient }));
    const result = create();
    for (let i = 0; i < size; i++) {
      const sample = Math.floor(i / per);
      let total = 0;
      for (const { values, coefficient } of sources) total += at(coefficient, sample) * (values[i] as number);
      result[i] = total;
    }
    return result;
  };

  const chooser = new Chooser(table, per);
  for (const [index, row] of table.rows.entries()) {
    const x = slot('x');
    const input = create();
    for (let i = 0; i < size; i++) input[i] = at(row.inputScale, Math.floor(i / per)) * (x[i] as number);
    const timestep = Array.from({ length: batch }, (_, b) => at(row.timestep, b));
    const m = slot('m');
    const choice = chooser.choose(index, input);
    if (choice.program === undefined) {
      if (row.predict) m.set(sum(row.predict));
    } else {
      const program = table.programs[choice.program] as Program;
      const halves = returnedHalves(row, program, options.outputs);
      const outputs = { all: 3, both: 2, conditional: 1, unconditional: 1 }[halves];
      const call = { input, timestep, program, halves, row: index };
      const output = program.degrades
        ? yield* degradedCall(call, row, x, outputs, options)
        : requireLength('the model output', yield call, outputs * size);
      const average = row.guidance?.rule?.average;
      if (outputs > 1 && row.guidance) guide(m, output, row.guidance, per, average && slot(average));
      else m.set(output);
    }
    estimateX0(slot('x0'), x, m, row.x0, per);
    if (row.noise !== undefined) loadNoise(slot('noise'), row.noise, options.noise, per);
    for (const { to, terms } of row.assign) slots.set(to, sum(terms));
    if (row.blend)
      blend(slot('x'), row.blend, row.blend.redrawn ? slot('noise') : options.noise0, options, per);
    options.onRow?.({ row: index, x: slot('x'), x0: slot('x0'), m, input, ...choice });
  }
  return slot('x');
}

/** Both passes of a program that degrades: all outputs. */
function* degradedCall<A extends FloatArray>(
  call: ModelCall<A>,
  row: StepRow,
  x: A,
  outputs: number,
  { batch = 1, degrade }: RunTableOptions<A>,
): Generator<ModelCall<A>, ArrayLike<number>, ArrayLike<number>> {
  const size = x.length;
  const sample = (i: number) => Math.floor((i * batch) / size);
  if (outputs < 2) throw invalidArgument('table', `row ${call.row} degrades the only output`);
  const halves = outputs === 3 ? 'both' : 'unconditional';
  const others = requireLength('the model output', yield { ...call, halves }, (outputs - 1) * size);
  const clean = x.slice() as A;
  for (let i = 0; i < size; i++) {
    clean[i] = at(row.x0.x, sample(i)) * (x[i] as number) + at(row.x0.m, sample(i)) * (others[i] as number);
  }
  const seen = requireLength('what is left of clean latents', degrade?.(clean, call.row), size);
  const input = x.slice() as A;
  for (let i = 0; i < size; i++) {
    const change = at(row.signal ?? 0, sample(i)) * ((seen[i] as number) - (clean[i] as number));
    input[i] = at(row.inputScale, sample(i)) * ((x[i] as number) + change);
  }
  const last = yield { ...call, input, halves: 'unconditional', degraded: true };
  return [...Array.from(others), ...Array.from(requireLength('the model output', last, size))];
}

/** What each row runs. */
class Chooser {
  readonly #table: StepTable;
  readonly #per: number;
  /** The input of the last full call. */
  #kept: FloatArray | undefined;
  #skipped = 0;

  constructor(table: StepTable, per: number) {
    this.#table = table;
    this.#per = per;
  }

  choose(index: number, input: FloatArray): Pick<RowState<FloatArray>, 'program' | 'change'> {
    const { program, predict, skip } = this.#table.rows[index] as StepRow;
    if (program === undefined) {
      if (predict) this.#skipped = 0;
      return {};
    }
    this.#require(index, program);
    let change: number | undefined;
    if (skip && this.#kept && this.#skipped < skip.maxSkips) {
      change = relativeChange(input, this.#kept, this.#per);
      if (change < skip.threshold) {
        this.#skipped++;
        if (skip.program !== undefined) this.#require(index, skip.program);
        return { change, ...(skip.program !== undefined && { program: skip.program }) };
      }
    }
    this.#skipped = 0;
    if (this.#table.programs[program]?.kind === 'full') this.#kept = input.slice();
    return { program, ...(change !== undefined && { change }) };
  }

  #require(index: number, program: number): void {
    if (this.#table.programs[program]) return;
    throw invalidArgument('table', `row ${index} names program ${program}, which does not exist`);
  }
}

/** The largest of all samples' |values - kept| / |kept|, L1 norms. */
function relativeChange(values: FloatArray, kept: FloatArray, per: number): number {
  let largest = 0;
  for (let start = 0; start < values.length; start += per) {
    let [difference, size] = [0, 0];
    for (let i = start; i < start + per; i++) {
      difference += Math.abs((values[i] as number) - (kept[i] as number));
      size += Math.abs(kept[i] as number);
    }
    largest = Math.max(largest, difference / size);
  }
  return largest;
}

/** Without guidance the positive prompts' outputs alone are of use. */
function returnedHalves({ guidance }: StepRow, { halves = 'all' }: Program, outputs = 2): Halves {
  if (halves !== 'all' && halves !== 'both') return halves;
  if (!guidance) return 'conditional';
  return outputs === 2 ? 'both' : halves;
}

function requireLength(
  name: string,
  values: ArrayLike<number> | undefined,
  length: number,
): ArrayLike<number> {
  if (values?.length === length) return values;
  throw invalidArgument(name, `must have ${length} values, got ${values?.length ?? 'none'}`);
}

function loadNoise(
  target: FloatArray,
  index: PerSample,
  source: RunTableOptions<FloatArray>['noise'],
  per: number,
): void {
  for (let start = 0; start < target.length; start += per) {
    const draw = at(index, start / per);
    const values = typeof source === 'function' ? source(draw) : source?.[draw];
    requireLength(`noise draw ${draw}`, values, target.length);
    for (let i = start; i < start + per; i++) target[i] = values?.[i] as number;
  }
}

function blend(
  x: FloatArray,
  { init, noise }: NonNullable<StepRow['blend']>,
  drawn: ArrayLike<number> | undefined,
  options: Pick<RunTableOptions<FloatArray>, 'mask' | 'initLatents'>,
  per: number,
): void {
  const mask = requireLength('mask', options.mask, x.length);
  const latents = requireLength('initLatents', options.initLatents, x.length);
  const noise0 = requireLength('noise0', drawn, x.length);
  for (let i = 0; i < x.length; i++) {
    const sample = Math.floor(i / per);
    const known = at(init, sample) * (latents[i] as number) + at(noise, sample) * (noise0[i] as number);
    const keep = mask[i] as number;
    x[i] = keep * (x[i] as number) + (1 - keep) * known;
  }
}
