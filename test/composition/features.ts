import { schedulerNames } from '../../lib/entries/schedulers.js';
import type { DiffusionPipeline, StableDiffusionPipeline } from '../../lib/index.js';
import { type AdapterFolder, values } from '../adapters/adapter-files.js';
import { writeBase } from '../ip-adapter/tiny-ip-adapter.js';
import { SIZE } from '../pipelines/tiny.js';
import { writeControlNet, writeControlUnion, writeT2IAdapter } from './made-systems.js';
import type { System } from './systems.js';

/** What a run can do besides: a cache policy, an adapter, another guidance or another sampler. */
export interface Feature {
  readonly name: string;
  readonly kind: 'cache' | 'adapter' | 'guidance' | 'pass' | 'sampler';
  /** Features of the same group take each other's place. */
  readonly group?: string;
  /** Options of a run; `calls` are those of the run without a cache. */
  options(calls: number): Readonly<Record<string, unknown>>;
  /** Loads it into the pipeline. */
  attach?(system: System, files: AdapterFolder): Promise<unknown>;
  /** Takes it out again. */
  detach?(pipe: DiffusionPipeline): Promise<unknown> | undefined;
}

const cache = (name: string, settings: (calls: number) => object): Feature => ({
  name,
  kind: 'cache',
  group: 'cache',
  options: (calls) => ({ cache: settings(calls) }),
});

const CACHES: readonly Feature[] = [
  cache('uniform', () => ({ interval: 3 })),
  cache('uniform, branch 2', () => ({ interval: 3, branch: 2 })),
  cache('non-uniform', () => ({ interval: 3, schedule: 'nonuniform' })),
  cache('list', (calls) => ({ steps: [0, Math.floor(calls / 2)] })),
  cache('T-GATE', () => ({ interval: 1, gateStep: 2, spInterval: 2, fiInterval: 2 })),
  cache('T-GATE and uniform', () => ({ interval: 2, branch: 1, gateStep: 2 })),
  cache('predicted calls', (calls) => ({ plan: 'FFPRFP'.repeat(calls).slice(0, calls) })),
];

const guidance = (name: string, options: object): Feature => ({
  name,
  kind: 'guidance',
  options: () => ({ ...options }),
});

const GUIDANCE: readonly Feature[] = [
  guidance('rescale', { guidanceRescale: 0.7 }),
  guidance('cut-off', { cutoffStepIndex: 2 }),
  {
    name: 'schedule',
    kind: 'guidance',
    options: (calls) => ({ guidanceSchedule: Array.from({ length: calls }, (_, i) => 1 + i) }),
  },
  guidance('APG with momentum', {
    guider: 'apg',
    guiderOptions: { eta: 0, adaptiveProjectedGuidanceMomentum: -0.5, adaptiveProjectedGuidanceRescale: 2 },
  }),
  guidance('perturbed attention', { pagScale: 2, pagAppliedLayers: 'attn1' }),
  guidance('self-attention guidance', { sagScale: 0.75 }),
  guidance('FreeU', { freeU: { b1: 1.4, b2: 1.6, s1: 0.9, s2: 0.2 } }),
];

/** Methods that some pipelines have. */
type Adaptable = Partial<
  Pick<
    StableDiffusionPipeline,
    | 'loadLora'
    | 'unloadLora'
    | 'loadTextualInversion'
    | 'unloadTextualInversion'
    | 'loadControlNet'
    | 'unloadControlNet'
    | 'loadT2IAdapter'
    | 'unloadT2IAdapter'
    | 'loadIpAdapter'
    | 'unloadIpAdapter'
  >
>;

/** A method of the pipeline, which has to have it. */
function method<Name extends keyof Adaptable>(
  pipe: DiffusionPipeline,
  name: Name,
): NonNullable<Adaptable[Name]> {
  const found = (pipe as unknown as Adaptable)[name];
  if (!found) throw new Error('TypeScript: these pipelines have no method that loads it');
  return (found as (...args: unknown[]) => unknown).bind(pipe) as NonNullable<Adaptable[Name]>;
}

const controlImage = {
  data: new Uint8Array(3 * SIZE * SIZE).map((_, i) => 36 * (i % 7)),
  ...{ width: SIZE, height: SIZE, channels: 3 as const },
};
/** The forms of a ControlNet take each other's place. */
const control = (name: string, options: object, write = writeControlNet): Feature => ({
  name,
  kind: 'adapter',
  group: 'ControlNet',
  options: () => ({ controlImage, ...options }),
  attach: async (system, files) => {
    const load = method(system.pipe, 'loadControlNet');
    return load(await write(system.folder, files.path, 'net'), { name: 'net' });
  },
  detach: (pipe) => method(pipe, 'unloadControlNet')(),
});

const ADAPTERS: readonly Feature[] = [
  {
    name: 'LoRA',
    kind: 'adapter',
    options: () => ({}),
    attach: ({ pipe }, files) => {
      const load = method(pipe, 'loadLora');
      const { name, shape } = pipe.unet
        .weightShapes()
        .find(({ name }) => name.endsWith('attn1.to_q.weight')) as { name: string; shape: [number, number] };
      const layer = `unet.${name.replace(/\.weight$/, '')}`;
      const path = files.write('lora.safetensors', {
        [`${layer}.lora_A.weight`]: values([2, shape[1]], 1),
        [`${layer}.lora_B.weight`]: values([shape[0], 2], 2),
      });
      return load(path, { name: 'lora' });
    },
    detach: (pipe) => method(pipe, 'unloadLora')(),
  },
  {
    name: 'textual inversion',
    kind: 'adapter',
    options: () => ({ prompt: 'a lighthouse of <stone>' }),
    attach: ({ pipe }, files) => {
      const load = method(pipe, 'loadTextualInversion');
      // SDXL's encoders are 32 wide each, and so is the refiner's.
      const isXl = pipe.constructor.name.includes('XL');
      const row = values([1, 32], 3);
      const path = files.write(
        'stone.safetensors',
        isXl ? { clip_l: row, clip_g: values([1, 32], 4) } : { emb_params: row },
      );
      return load(path, { token: '<stone>' });
    },
    detach: async (pipe) => method(pipe, 'unloadTextualInversion')(),
  },
  control('ControlNet, held', { controlCache: 'hold' }),
  control('ControlNet, live', { controlCache: 'live' }),
  control('ControlNet-Union', { controlMode: 1 }, writeControlUnion),
  {
    name: 'T2I-Adapter',
    kind: 'adapter',
    options: () => ({ t2iAdapterImage: controlImage }),
    attach: async (system, files) => {
      const load = method(system.pipe, 'loadT2IAdapter');
      return load(await writeT2IAdapter(system.folder, files.path, 't2i'), { name: 't2i' });
    },
    detach: (pipe) => method(pipe, 'unloadT2IAdapter')(),
  },
  {
    name: 'IP-Adapter',
    kind: 'adapter',
    options: () => ({ ipAdapterImageEmbeds: { data: values([1, 24], 5, 3).data, shape: [1, 24] } }),
    attach: ({ pipe }, files) => {
      const load = method(pipe, 'loadIpAdapter');
      return load(writeBase(files, 'ip.safetensors', pipe as StableDiffusionPipeline));
    },
    detach: (pipe) => method(pipe, 'unloadIpAdapter')(),
  },
];

const SAMPLERS: readonly Feature[] = schedulerNames().map((scheduler) => ({
  name: scheduler.replace(/Scheduler$/, ''),
  kind: 'sampler',
  group: 'sampler',
  options: () => ({ scheduler }),
}));

/** A second pass of as many calls as the first, for which caches and schedules are made. */
const HIRES: Feature = {
  name: 'hires fix',
  kind: 'pass',
  options: () => ({ hiresFix: { scale: 1.5, strength: 1 } }),
};

/** All of them, in the order of the tables. */
export const FEATURES: readonly Feature[] = [...CACHES, ...ADAPTERS, ...GUIDANCE, HIRES, ...SAMPLERS];
