import { DeepCacheError, invalidArgument } from '../errors.js';
import { shorten } from '../messages.js';
import { alphasCumprod, type BetaSchedule } from './betas.js';
import {
  allRows,
  type CompiledSchedule,
  type CompileOptions,
  type NoiseLevel,
  RowBuilder,
  requireFinite,
} from './compiled.js';
import { ConfigReader, explicitFields, type SchedulerConfig } from './config.js';
import { checkOverrides, checkZeroSnr, foreignFields, ignoredFields } from './fields.js';
import { PREDICTION_TYPES, type PredictionType } from './prediction.js';
import { findScheduler, schedulerClass } from './registry.js';
import type { SamplerOptionName } from './run-options.js';
import type { RunContext, Schedule, SchedulerClass } from './scheduler-class.js';
import { readSigmaSpacing, type SigmaSpacing, withoutReplacedSpacing } from './sigma-spacing.js';
import { readBetas, readTrainSteps } from './training.js';
import { CURRENT_VERSION, isOlder, type Release } from './versions.js';

/**
 * A scheduler turns a configuration into rows of the step table; it never touches a latent itself and holds no state
 * of a run. The arithmetic is that of the diffusers v0.40 class of the same name; a configuration with a
 * `_diffusers_version` means by the fields that it lacks what they meant in that release.
 *
 * Errors: ERR_DEEPCACHE_INVALID_CONFIG names the field of a configuration that is wrong or not supported,
 * ERR_DEEPCACHE_UNSUPPORTED a class that is not implemented, ERR_DEEPCACHE_INVALID_ARGUMENT a bad compile option.
 */
export abstract class Scheduler {
  /** diffusers' name of the class. */
  static readonly className: string = 'Scheduler';
  /** The fields of the class and their defaults. */
  static readonly defaults: SchedulerConfig = {};
  /** What configurations of older releases mean by fields that they lack. */
  static readonly former: SchedulerClass['former'] = [];
  /** Options of a run that only this class takes. */
  static readonly runOptions: SchedulerClass['runOptions'] = [];

  /** Defaults that follow from fields that were set. */
  static implied(_explicit: SchedulerConfig): SchedulerConfig {
    return {};
  }

  /** The whole configuration: the fields of this class, and those kept for other classes. */
  readonly config: SchedulerConfig;
  /** U-Net calls per step in the middle of a run: 2 for Heun. */
  readonly order: number = 1;
  /** Whether runs take `eta`. */
  readonly takesEta: boolean = false;
  /** Whether its rows put the kept part of a picture back: its runs have a picture and a mask. */
  readonly repaints: boolean = false;
  /** What the model predicts: noise, the clean sample, or velocity. */
  readonly predictionType: PredictionType;
  /** Steps that the model was trained on: timesteps are below. */
  readonly trainSteps: number;
  /** The variance added by each training step; none for the samplers whose noise levels do not come from training. */
  readonly betas: Float64Array;
  /** The share of signal left after each training step. */
  readonly alphasCumprod: Float64Array;
  protected readonly fields: ConfigReader;
  readonly #explicit: SchedulerConfig;
  readonly #spacing: ReturnType<typeof readSigmaSpacing>;

  /** Takes the explicitly set fields; prefer {@link Scheduler.fromConfig}. */
  constructor(config: SchedulerConfig = {}) {
    const own = this.#class;
    const version = config._diffusers_version;
    this.#explicit = explicitFields(config);
    this.config = Object.freeze({
      ...own.defaults,
      ...Object.assign({}, ...own.former.filter((f) => isOlder(version, f.before)).map((f) => f.fields)),
      ...own.implied(this.#explicit),
      ...this.#explicit,
      _class_name: own.className,
      ...(typeof version === 'string' && { _diffusers_version: version }),
    });
    this.fields = new ConfigReader(own.className, this.config);
    const predictions = this.predictionTypes();
    this.predictionType = this.owns('prediction_type')
      ? this.fields.choice('prediction_type', predictions)
      : (predictions[0] as PredictionType);
    this.trainSteps = readTrainSteps(this.fields);
    this.betas = readBetas(this.fields, own.defaults, {
      count: this.trainSteps,
      schedules: this.betaSchedules(),
    });
    this.alphasCumprod = alphasCumprod(this.betas);
    if (this.owns('steps_offset')) this.fields.integer('steps_offset', 0, this.trainSteps);
    this.#spacing = readSigmaSpacing(this.fields, own.defaults);
  }

  /**
   * Makes a scheduler from a scheduler_config.json or from another scheduler. Called on a class it makes that class;
   * called on Scheduler it makes the class that `_class_name` names ('DDIMScheduler' or just 'DDIM'), which may also be
   * a sampler as user interfaces call it, such as 'Euler a' or 'DPM++ 2M Karras'.
   *
   * As in diffusers only values that were set are inherited: a field that the source left at its own default takes the
   * default of the new class. Fields that the new class does not know are kept for a later fromConfig.
   * `overrides` are set on top; a name that the class does not know is an error, unless they are a whole configuration
   * with a `_diffusers_version`. That of the source says what its own class means by fields that are absent, and says
   * nothing about another class.
   */
  static fromConfig<T extends Scheduler>(
    this: (abstract new (config?: SchedulerConfig) => T) & Pick<SchedulerClass, 'className' | 'defaults'>,
    source: SchedulerConfig | Scheduler,
    overrides: SchedulerConfig = {},
  ): T {
    if (typeof source !== 'object' || source === null || Array.isArray(source)) {
      throw invalidArgument('config', 'must be a scheduler or the object of a scheduler_config.json');
    }
    const from = source instanceof Scheduler ? source.config : source;
    const inherited = source instanceof Scheduler ? source.#explicit : explicitFields(source);
    // biome-ignore lint/complexity/noThisInStatic: the class that fromConfig was called on decides what is made
    const self = this as unknown as SchedulerClass;
    const { scheduler: target, fields } =
      self.className === Scheduler.className
        ? schedulerClass(overrides._class_name ?? from._class_name)
        : { scheduler: self, fields: {} };
    checkOverrides(target, overrides);
    const isSame = from._class_name === undefined || findScheduler(from._class_name)?.scheduler === target;
    const onTop = { ...fields, ...explicitFields(overrides) };
    const made = new (target as SchedulerClass<Scheduler>)({
      ...withoutReplacedSpacing(inherited, onTop),
      ...onTop,
      _diffusers_version: overrides._diffusers_version ?? (isSame ? from._diffusers_version : undefined),
    });
    checkZeroSnr(overrides, made.predictionType);
    return made as unknown as T;
  }

  get #class(): SchedulerClass {
    return this.constructor as unknown as SchedulerClass;
  }

  /** diffusers' class name. */
  get className(): string {
    return this.#class.className;
  }

  /** Options of runs that the class has besides steps, timesteps, sigmas and eta. */
  get runOptions(): readonly SamplerOptionName[] {
    return this.#class.runOptions;
  }

  /** Fields of the configuration that diffusers' class of this name obeys and this one does not, or that none knows. */
  get ignoredFields(): readonly string[] {
    return ignoredFields(this.#class, this.#explicit);
  }

  /** Fields of the configuration about noise levels that neither this class nor diffusers' has, and others obey. */
  get foreignFields(): readonly string[] {
    return foreignFields(this.#class, this.#explicit);
  }

  /** What to write into a scheduler_config.json: the class and every field. */
  toConfig(): SchedulerConfig {
    return { _diffusers_version: CURRENT_VERSION, ...this.config };
  }

  /** A JSON text of it is a scheduler_config.json. */
  toJSON(): SchedulerConfig {
    return this.toConfig();
  }

  /** What console.log shows. */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return `${this.className} ${shorten(JSON.stringify(this.#explicit), 200)}`;
  }

  /** Compiles a run, or the part of it from `strengthStart` on, into rows. */
  compile(options: CompileOptions): CompiledSchedule {
    const schedule = this.schedule(options);
    const { timesteps, sigmas } = schedule;
    const start = options.strengthStart ?? 0;
    if (!Number.isInteger(start) || start < 0 || start >= timesteps.length) {
      throw invalidArgument(
        'strengthStart',
        `must be a call from 0 to ${timesteps.length - 1}, got ${start}`,
      );
    }
    const builder = new RowBuilder();
    const steps = options.steps ?? options.timesteps?.length ?? options.sigmas?.length ?? timesteps.length;
    this.emit({ ...schedule, steps, start, options, builder });
    requireFinite(this.className, builder.rows);
    const used = new Set(allRows(builder.rows).map((row) => row.noise));
    const calls = schedule.called ?? timesteps.slice(start).map((_, i) => start + i);
    const addNoiseLevels = calls.map((call) => this.noiseLevel(schedule, call));
    return {
      rows: builder.rows,
      steps: builder.rows.map((_, call) => this.stepOf(call)),
      timesteps: calls.map((call) => timesteps[call] as number),
      schedulerTimesteps: timesteps,
      ...(sigmas && { sigmas }),
      initNoiseSigma: this.initNoiseSigma(schedule),
      noiseDraws: builder.draws,
      ...(builder.motion && { motion: builder.motion }),
      noiseUsed: Array.from({ length: builder.draws }, (_, i) => used.has(i)),
      noiseLevels: calls.map((call) => this.latentLevel(schedule, call)),
      addNoiseLevels,
      ...(options.strengthStart !== undefined && { startAddNoise: addNoiseLevels[0] as NoiseLevel }),
    };
  }

  /** The step, from 1, that a run's call belongs to, from 0. */
  protected stepOf(call: number): number {
    return call + 1;
  }

  /**
   * Noise of unit variance mixed into a clean latent at a timestep of `compiled` (diffusers' add_noise). The schedulers
   * without sigmas take any whole training timestep and need no `compiled`.
   */
  addNoise(
    x0: ArrayLike<number>,
    noise: ArrayLike<number>,
    timestep: number,
    compiled?: Schedule,
  ): Float32Array {
    if (noise.length !== x0.length)
      throw invalidArgument('noise', `must have ${x0.length} values, got ${noise.length}`);
    // Fractional timesteps that come from elsewhere may differ in the last bits.
    const same = (t: number) => Math.abs(t - timestep) <= 1e-6 * Math.abs(t);
    const index = compiled?.timesteps.findIndex(same) ?? 0;
    if (index < 0) throw invalidArgument('timestep', `${timestep} is not one of the compiled schedule's`);
    const level = this.noiseLevel(compiled ?? { timesteps: [timestep] }, index);
    const mix = (_: unknown, i: number) =>
      level.sqrtAlpha * (x0[i] as number) + level.sigma * (noise[i] as number);
    return Float32Array.from({ length: x0.length }, mix);
  }

  /** The prediction types that the sampler supports. */
  protected predictionTypes(): readonly PredictionType[] {
    return PREDICTION_TYPES;
  }

  /** The beta schedules that the class knows. */
  protected betaSchedules(): readonly BetaSchedule[] {
    return ['linear', 'scaled_linear', 'squaredcos_cap_v2'];
  }

  /** The fields of the class. */
  protected get ownDefaults(): SchedulerConfig {
    return this.#class.defaults;
  }

  /** Whether a field is one of the class. Others may be in the configuration, for other classes. */
  protected owns(field: string): boolean {
    return Object.hasOwn(this.ownDefaults, field);
  }

  /** Whether the configuration was written by a release of diffusers before this one. */
  protected isOlder(release: Release): boolean {
    return isOlder(this.config._diffusers_version, release);
  }

  /** The spacing of a run's sigmas that the configuration asks for. */
  protected sigmaSpacing(options: CompileOptions): SigmaSpacing | undefined {
    if (this.#spacing && options.timesteps) {
      throw invalidArgument('timesteps', `of your own and ${this.#spacing.field} exclude each other`);
    }
    return options.sigmas ? undefined : this.#spacing?.spacing;
  }

  protected initNoiseSigma(_schedule: Schedule): number {
    return 1;
  }

  /** The timesteps (and sigmas) of a whole run; checks the options it reads. */
  protected abstract schedule(options: CompileOptions): Schedule;

  /** Adds the rows of the calls from `run.start` to the end. */
  protected abstract emit(run: RunContext): void;

  /** Picture and noise in the latents before a call. */
  protected latentLevel(schedule: Schedule, call: number): NoiseLevel {
    return this.noiseLevel(schedule, call);
  }

  /** The noise level that latents are noised to for a call. */
  protected noiseLevel({ timesteps }: Schedule, call: number): NoiseLevel {
    const alpha = this.alphaAt(timesteps[call] as number);
    return { sqrtAlpha: Math.sqrt(alpha), sigma: Math.sqrt(1 - alpha) };
  }

  /** alphas_cumprod of a training step. */
  protected alphaAt(timestep: number): number {
    const alpha = this.alphasCumprod[timestep];
    if (alpha !== undefined) return alpha;
    const message = `has no timestep ${timestep}: it was trained on 0 to ${this.trainSteps - 1}; `;
    const advice = 'use fewer steps, or a smaller steps_offset';
    throw new DeepCacheError('ERR_DEEPCACHE_INVALID_ARGUMENT', `${this.className} ${message}${advice}`);
  }
}
