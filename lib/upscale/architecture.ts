import { DeepCacheError, invalidConfig } from '../errors.js';
import type { TensorSource } from '../native/types.js';
import type { StoredTensor } from '../weights/stored-tensor.js';

/** What a file of an upscaler holds: the configuration that native code reads, and its tensors under native names. */
export interface UpscalerFile {
  readonly config: Readonly<Record<string, string | number>>;
  readonly tensors: readonly TensorSource[];
}

/** What trainers put before all names; running means come first where a file has both. */
const PREFIXES = ['params_ema.', 'params.', ''];

/**
 * Tells an upscaler's architecture from the names and shapes of its tensors.
 *
 * @param activation of a SRVGGNetCompact whose file does not say it.
 * @throws DeepCacheError ERR_DEEPCACHE_UNSUPPORTED for a file that is none that is known.
 */
export function readArchitecture(
  path: string,
  stored: readonly StoredTensor[],
  activation: 'relu' | 'leakyrelu' = 'relu',
): UpscalerFile {
  for (const prefix of PREFIXES) {
    const own = new Map(
      stored.flatMap((tensor) =>
        tensor.name.startsWith(prefix) ? [[tensor.name.slice(prefix.length), tensor] as const] : [],
      ),
    );
    const found = compact(path, own, activation) ?? rrdb(path, own);
    if (found) return found;
  }
  throw new DeepCacheError(
    'ERR_DEEPCACHE_UNSUPPORTED',
    `${path} is no upscaler that is known: those of ESRGAN, Real-ESRGAN and SRVGGNetCompact are`,
  );
}

/** Pixels of a result for one of the picture, in each axis. */
export function factorOf({ config }: UpscalerFile): number {
  const { upscale, num_upsample, unshuffle } = config;
  return upscale === undefined ? 2 ** Number(num_upsample) / Number(unshuffle) : Number(upscale);
}

type Tensors = ReadonlyMap<string, StoredTensor>;

/** SRVGGNetCompact: convolutions at even numbers, slopes of PReLU between them where there are some. */
function compact(path: string, tensors: Tensors, activation: string): UpscalerFile | undefined {
  const first = shapeOf(tensors, 'body.0.weight');
  if (!first || tensors.has('conv_first.weight')) return undefined;
  const numbers = [...tensors.keys()].flatMap((name) => /^body\.(\d+)\.weight$/.exec(name)?.[1] ?? []);
  const last = Math.max(...numbers.map(Number));
  const [features = 0, channels = 0] = first;
  const [out = 0] = shapeOf(tensors, `body.${last}.weight`) ?? [];
  const upscale = Math.sqrt(out / channels);
  if (last % 2 !== 0 || !Number.isInteger(upscale)) {
    throw invalidConfig(path, `is like SRVGGNetCompact, but its last layer (body.${last}) fits no scale`);
  }
  const prelu = tensors.has('body.1.weight');
  return {
    config: {
      _class_name: 'SRVGGNetCompact',
      num_in_ch: channels,
      num_out_ch: channels,
      num_feat: features,
      num_conv: last / 2 - 1,
      upscale,
      act_type: prelu ? 'prelu' : activation,
    },
    tensors: [...tensors].map(([name, tensor]) => sourceOf(name, tensor)),
  };
}

/** RRDBNet, under the names of Real-ESRGAN or of ESRGAN's two code bases. */
function rrdb(path: string, tensors: Tensors): UpscalerFile | undefined {
  const layout = LAYOUTS.find(({ probe }) => tensors.has(probe));
  if (!layout) return undefined;
  const renamed = layout.rename(tensors);
  const shape = (name: string) => shapeOf(renamed, name);
  const count = (pattern: RegExp) => {
    const numbers = [...renamed.keys()].flatMap((name) => pattern.exec(name)?.[1] ?? []);
    return numbers.length === 0 ? 0 : Math.max(...numbers.map(Number)) + 1;
  };
  const [features = 0, first = 0] = shape('conv_first.weight') ?? [];
  const [channels = 0] = shape('conv_last.weight') ?? [];
  const unshuffle = Math.sqrt(first / channels);
  if (!Number.isInteger(unshuffle)) {
    throw invalidConfig(path, `takes ${first} channels and makes ${channels}, which fits no upscaler`);
  }
  const upsamplers = count(/^conv_up(\d+)\.weight$/);
  return {
    config: {
      _class_name: 'RRDBNet',
      num_in_ch: channels,
      num_out_ch: channels,
      num_feat: features,
      num_block: count(/^body\.(\d+)\./),
      num_grow_ch: shape('body.0.rdb1.conv1.weight')?.[0] ?? 1,
      num_upsample: Math.max(0, upsamplers - 1),
      unshuffle,
    },
    tensors: [...renamed].map(([name, tensor]) => sourceOf(name, tensor)),
  };
}

interface Layout {
  readonly probe: string;
  rename(tensors: Tensors): Tensors;
}

const LAYOUTS: readonly Layout[] = [
  { probe: 'conv_first.weight', rename: (tensors) => byRules(tensors, MIDDLE) },
  { probe: 'model.0.weight', rename: (tensors) => byRules(tensors, oldRules(tensors)) },
];

type Rules = readonly (readonly [from: RegExp, to: string])[];

/** The later names of ESRGAN; those of Real-ESRGAN stay as they are. */
const MIDDLE: Rules = [
  [/^RRDB_trunk\.(\d+)\.RDB(\d)\./, 'body.$1.rdb$2.'],
  [/^trunk_conv\./, 'conv_body.'],
  [/^upconv(\d)\./, 'conv_up$1.'],
  [/^HRconv\./, 'conv_hr.'],
];

/** The first names: a list of layers, in which the number of convolutions behind enlargements says what is what. */
function oldRules(tensors: Tensors): Rules {
  const layers = [...tensors.keys()].flatMap((name) => /^model\.(\d+)\.weight$/.exec(name)?.[1] ?? []);
  const numbers = layers.map(Number).sort((a, b) => a - b);
  const [hr, last] = numbers.slice(-2);
  const ups = numbers.slice(1, -2);
  return [
    [/^model\.0\./, 'conv_first.'],
    [/^model\.1\.sub\.(\d+)\.RDB(\d)\.conv(\d)\.0\./, 'body.$1.rdb$2.conv$3.'],
    [/^model\.1\.sub\.\d+\.(?=weight$|bias$)/, 'conv_body.'],
    ...ups.map((number, i) => [new RegExp(`^model\\.${number}\\.`), `conv_up${i + 1}.`] as const),
    [new RegExp(`^model\\.${hr}\\.`), 'conv_hr.'],
    [new RegExp(`^model\\.${last}\\.`), 'conv_last.'],
  ];
}

function byRules(tensors: Tensors, rules: Rules): Tensors {
  return new Map(
    [...tensors].map(([name, tensor]) => {
      const rule = rules.find(([from]) => from.test(name));
      return [rule ? name.replace(rule[0], rule[1]) : name, tensor];
    }),
  );
}

const shapeOf = (tensors: Tensors, name: string) => tensors.get(name)?.shape;

function sourceOf(name: string, { file, dtype, shape, offset, transposed }: StoredTensor): TensorSource {
  return { name, file, dtype, shape, offset, ...(transposed !== undefined && { transposed }) };
}
