import { cpSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { DeepCacheErrorCode } from '../../lib/index.js';
import { native } from '../../lib/native/binding.js';
import { FOLDER } from './tiny.js';

/** One way in which a model folder can be wrong. */
export interface Breakage {
  name: string;
  /** Does the damage to a copy of the tiny model. */
  damage(folder: string): unknown;
  code: DeepCacheErrorCode;
  /** What the message must contain. */
  says: RegExp;
}

type Json = Record<string, unknown>;
/** The parts of the tiny model that have weights. */
type Part = 'unet' | 'text_encoder' | 'vae';
/** An entry of a safetensors header. */
interface Entry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

const WEIGHTS: Record<Part, string> = {
  unet: 'unet/diffusion_pytorch_model.safetensors',
  text_encoder: 'text_encoder/model.safetensors',
  vae: 'vae/diffusion_pytorch_model.safetensors',
};
const KINDS = Object.keys(WEIGHTS) as Part[];

/** A copy of the tiny model, in a folder that the caller removes. */
export function copyModel(): string {
  const folder = mkdtempSync(join(tmpdir(), 'deepcache-model-'));
  cpSync(FOLDER, folder, { recursive: true });
  return folder;
}

const remove = (path: string) => (folder: string) => rmSync(join(folder, path), { recursive: true });
const write = (path: string, text: string | Uint8Array) => (folder: string) =>
  writeFileSync(join(folder, path), text);

const edit = (path: string, change: (json: Json) => Json) => (folder: string) => {
  const file = join(folder, path);
  const text = JSON.stringify(change(JSON.parse(readFileSync(file, 'utf8'))));
  // JSON has no such numbers, Python's json module writes and reads them all the same.
  writeFileSync(file, text.replaceAll('"NaN"', 'NaN').replaceAll('"Infinity"', 'Infinity'));
};
const set = (path: string, fields: Json) => edit(path, (json) => ({ ...json, ...fields }));

/** Rewrites the header of a weight file; what is behind it stays. */
export const editHeader =
  (path: string, change: (header: Record<string, Entry>) => object) => (folder: string) => {
    const file = join(folder, path);
    const bytes = readFileSync(file);
    const end = 8 + Number(bytes.readBigUInt64LE());
    const header = Buffer.from(JSON.stringify(change(JSON.parse(bytes.toString('utf8', 8, end)))));
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(header.length));
    writeFileSync(file, Buffer.concat([length, header, bytes.subarray(end)]));
  };
const firstTensor = (path: string, change: (entry: Entry) => Partial<Entry>) =>
  editHeader(path, (header) => {
    const name = Object.keys(header).find((key) => key !== '__metadata__') as string;
    const entry = header[name] as Entry;
    return { ...header, [name]: { ...entry, ...change(entry) } };
  });

const headerLength = (length: bigint) => (folder: string) => {
  const file = join(folder, WEIGHTS.unet);
  const bytes = readFileSync(file);
  bytes.writeBigUInt64LE(length);
  writeFileSync(file, bytes);
};

/** Another model of the kind, with weights that fit the changed configuration. */
export const replaceModel = (kind: Part, fields: Json) => async (folder: string) => {
  set(`${kind}/config.json`, fields)(folder);
  const config = readFileSync(join(folder, kind, 'config.json'), 'utf8');
  const tensors = native().weightShapes(kind, config);
  await native().writeSynthetic({ path: join(folder, WEIGHTS[kind]), tensors, dtype: 'float32' }).promise;
};

const CONFIG = 'ERR_DEEPCACHE_INVALID_CONFIG';
const FILE = 'ERR_DEEPCACHE_INVALID_WEIGHTS';
const UNSUPPORTED = 'ERR_DEEPCACHE_UNSUPPORTED';

const index: Breakage[] = [
  { name: 'no folder', damage: remove('.'), code: CONFIG, says: /does not exist/ },
  {
    name: 'no model_index.json',
    damage: remove('model_index.json'),
    code: CONFIG,
    says: /model_index\.json/,
  },
  {
    name: 'an index that is no JSON',
    damage: write('model_index.json', '{'),
    code: CONFIG,
    says: /model_index\.json/,
  },
  {
    name: 'an index that is a list',
    damage: write('model_index.json', '[]'),
    code: CONFIG,
    says: /model_index\.json/,
  },
  {
    name: 'an index without a class',
    damage: write('model_index.json', '{}'),
    code: CONFIG,
    says: /model_index\.json.*_class_name/,
  },
  {
    name: 'a pipeline that does not exist here',
    damage: set('model_index.json', {
      _class_name: 'WuerstchenDecoderPipeline',
      vqgan: ['wuerstchen', 'PaellaVQModel'],
    }),
    code: UNSUPPORTED,
    says: /WuerstchenDecoderPipeline/,
  },
];

const configs: Breakage[] = KINDS.flatMap((kind) => {
  const file = `${kind}/config.json`;
  const says = new RegExp(file);
  return [
    { name: `${kind}: no folder`, damage: remove(kind), code: CONFIG, says },
    { name: `${kind}: no config.json`, damage: remove(file), code: CONFIG, says },
    { name: `${kind}: an empty config.json`, damage: write(file, ''), code: CONFIG, says },
    { name: `${kind}: config.json is no JSON`, damage: write(file, '{"a": }'), code: CONFIG, says },
    { name: `${kind}: config.json is a number`, damage: write(file, '5'), code: CONFIG, says },
    {
      name: `${kind}: config.json is binary`,
      damage: write(file, new Uint8Array([0, 255, 254, 0])),
      code: CONFIG,
      says,
    },
  ];
});

// [kind, fields, code, what the message names]
const fields: [Part, Json, DeepCacheErrorCode, RegExp][] = [
  // They contradict the weights.
  ['unet', { block_out_channels: [16, 32, 40, 48] }, FILE, /unet/],
  ['unet', { layers_per_block: 3 }, FILE, /unet/],
  ['unet', { cross_attention_dim: 48 }, FILE, /unet/],
  ['unet', { in_channels: 9 }, FILE, /unet/],
  ['vae', { latent_channels: 8 }, FILE, /vae/],
  ['vae', { layers_per_block: 3 }, FILE, /vae/],
  ['text_encoder', { vocab_size: 2000 }, FILE, /text_encoder/],
  ['text_encoder', { num_hidden_layers: 4 }, FILE, /text_encoder/],
  // They contradict themselves, or are not numbers.
  ['unet', { norm_eps: 'NaN' }, CONFIG, /norm_eps|unet\/config\.json/],
  ['unet', { norm_num_groups: 0 }, CONFIG, /norm_num_groups/],
  ['unet', { norm_num_groups: 7 }, CONFIG, /norm_num_groups/],
  ['unet', { block_out_channels: [] }, CONFIG, /block_out_channels/],
  ['unet', { block_out_channels: [16, 'Infinity'] }, CONFIG, /block_out_channels|unet\/config\.json/],
  ['unet', { block_out_channels: [16, 32, 40, 4_000_000_000] }, CONFIG, /block_out_channels/],
  ['unet', { block_out_channels: [-16, 32, 40, 40] }, CONFIG, /block_out_channels/],
  ['unet', { layers_per_block: 1.5 }, CONFIG, /layers_per_block/],
  ['unet', { layers_per_block: 1e9 }, CONFIG, /layers_per_block/],
  ['unet', { layers_per_block: 2 ** 20 }, CONFIG, /layers_per_block.*1048576.*32/],
  ['unet', { transformer_layers_per_block: 2 ** 20 }, CONFIG, /transformer_layers_per_block/],
  ['vae', { layers_per_block: 2 ** 20 }, CONFIG, /layers_per_block/],
  ['vae', { block_out_channels: [32, 2 ** 20, 32, 32] }, CONFIG, /block_out_channels/],
  ['text_encoder', { num_hidden_layers: 2 ** 20 }, CONFIG, /num_hidden_layers/],
  ['unet', { attention_head_dim: 0 }, CONFIG, /attention_head_dim/],
  ['unet', { down_block_types: ['CrossAttnDownBlock2D'] }, CONFIG, /down_block_types/],
  ['unet', { sample_size: 'big' }, CONFIG, /sample_size/],
  ['vae', { scaling_factor: 'NaN' }, CONFIG, /scaling_factor|vae\/config\.json/],
  ['vae', { scaling_factor: 0 }, CONFIG, /scaling_factor/],
  ['text_encoder', { num_attention_heads: 0 }, CONFIG, /num_attention_heads/],
  ['text_encoder', { num_attention_heads: 5 }, CONFIG, /5 attention heads/],
  // They are of models that are not implemented.
  ['unet', { down_block_types: ['A', 'B', 'C', 'D'] }, UNSUPPORTED, /down_block_types|"A"|'A'/],
  ['unet', { act_fn: 'relu' }, UNSUPPORTED, /act_fn|relu/],
  ['text_encoder', { hidden_act: 'tanh' }, UNSUPPORTED, /hidden_act|tanh/],
];

const contents: Breakage[] = fields.map(([kind, json, code, says]) => ({
  name: `${kind}: ${JSON.stringify(json)}`,
  damage: set(`${kind}/config.json`, json),
  code,
  says,
}));

const weightFiles: Breakage[] = KINDS.flatMap((kind) => {
  const path = WEIGHTS[kind];
  const says = new RegExp(path.replace('.', '\\.'));
  const halve = (folder: string) => truncateSync(join(folder, path), statSync(join(folder, path)).size >> 1);
  // diffusers' and transformers' name of a pickle.
  const bin = path.replace(/(?<=\/)model\.safetensors$/, 'pytorch_model.bin').replace(/safetensors$/, 'bin');
  const pickle = (folder: string) => {
    rmSync(join(folder, path));
    writeFileSync(join(folder, bin), 'import os\n'.repeat(500));
  };
  return [
    {
      name: `${kind}: no weights`,
      damage: remove(path),
      code: FILE,
      says: new RegExp(`${kind} .*${basename(path)}`),
    },
    {
      name: `${kind}: pickled weights only, which are none`,
      damage: pickle,
      code: FILE,
      says: new RegExp(`${kind}.*${basename(bin)}`),
    },
    { name: `${kind}: half a file`, damage: halve, code: FILE, says },
    { name: `${kind}: an empty file`, damage: write(path, ''), code: FILE, says },
    { name: `${kind}: four bytes`, damage: write(path, '\0\0\0\0'), code: FILE, says },
    { name: `${kind}: something else`, damage: write(path, 'PK'.repeat(5000)), code: FILE, says },
  ];
});

const unet = WEIGHTS.unet;
const inUnet = /unet\/diffusion_pytorch_model\.safetensors/;
// [what is wrong, damage, what the message names]
const lies: [string, (folder: string) => void, RegExp][] = [
  ['a header of 0 bytes', headerLength(0n), inUnet],
  ['a header longer than the file', headerLength(5_000_000n), inUnet],
  ['a header of 2^63 bytes', headerLength(2n ** 63n), inUnet],
  ['a header of 2^64 - 1 bytes', headerLength(2n ** 64n - 1n), inUnet],
  ['a header cut short', headerLength(200n), inUnet],
  [
    'offsets outside of the file',
    firstTensor(unet, ({ data_offsets: [a, b] }) => ({ data_offsets: [a + 1e9, b + 1e9] })),
    inUnet,
  ],
  [
    'an offset of 2^53',
    firstTensor(unet, ({ data_offsets: [a] }) => ({ data_offsets: [a, 2 ** 53] })),
    inUnet,
  ],
  ['negative offsets', firstTensor(unet, () => ({ data_offsets: [-64, 0] })), inUnet],
  [
    'an end before the beginning',
    firstTensor(unet, ({ data_offsets: [a, b] }) => ({ data_offsets: [b, a] })),
    inUnet,
  ],
  [
    'overlapping tensors',
    editHeader(unet, (header) => {
      const [first, second] = Object.keys(header).filter((key) => key !== '__metadata__') as [string, string];
      const {
        data_offsets: [begin],
      } = header[first] as Entry;
      const {
        data_offsets: [from, to],
      } = header[second] as Entry;
      return { ...header, [second]: { ...header[second], data_offsets: [begin, begin + to - from] } };
    }),
    inUnet,
  ],
  ['extents whose product overflows', firstTensor(unet, () => ({ shape: [2 ** 32, 2 ** 32, 16] })), inUnet],
  ['a negative extent', firstTensor(unet, () => ({ shape: [-1] })), inUnet],
  ['a fractional extent', firstTensor(unet, () => ({ shape: [1.5] })), inUnet],
  [
    'a shape that does not fit the bytes',
    firstTensor(unet, ({ shape }) => ({ shape: [...shape, 2] })),
    inUnet,
  ],
  ['a dtype that does not exist', firstTensor(unet, () => ({ dtype: 'F12' })), inUnet],
  [
    'integers instead of numbers',
    firstTensor(unet, ({ shape }) => ({ dtype: 'I64', shape: halved(shape) })),
    /I64|shape|conv_in/,
  ],
  ['32-bit integers', firstTensor(unet, () => ({ dtype: 'I32' })), /I32/],
  [
    'half the values',
    firstTensor(unet, ({ shape }) => ({ dtype: 'F64', shape: halved(shape) })),
    /F64|shape/,
  ],
  [
    'a wrong shape of the same size',
    editHeader(unet, (header) => {
      const name = 'conv_in.weight';
      const { shape } = header[name] as Entry;
      return { ...header, [name]: { ...header[name], shape: [...shape].reverse() } };
    }),
    /conv_in\.weight/,
  ],
  [
    'a missing tensor',
    editHeader(unet, ({ 'mid_block.resnets.0.conv1.weight': entry, ...header }) => ({
      ...header,
      'other.weight': entry,
    })),
    /mid_block\.resnets\.0\.conv1\.weight/,
  ],
  ['a header that is a list', editHeader(unet, () => []), inUnet],
  ['an entry that is a number', editHeader(unet, (header) => ({ ...header, 'conv_in.weight': 5 })), inUnet],
];

/** The shape of half as many values. */
function halved(shape: readonly number[]): number[] {
  const even = shape.findIndex((extent) => extent % 2 === 0);
  return shape.map((extent, i) => (i === even ? extent / 2 : extent));
}

const rest: Breakage[] = [
  {
    name: 'a U-Net that needs classes',
    damage: set('unet/config.json', { class_embed_type: 'identity' }),
    code: UNSUPPORTED,
    says: /conditioned by class labels/,
  },
  { name: 'no scheduler', damage: remove('scheduler'), code: CONFIG, says: /scheduler_config\.json/ },
  {
    name: 'a scheduler that does not exist here',
    damage: set('model_index.json', { scheduler: ['diffusers', 'NopeScheduler'] }),
    code: UNSUPPORTED,
    says: /NopeScheduler/,
  },
  {
    name: 'a scheduler without numbers',
    damage: set('scheduler/scheduler_config.json', { beta_start: 'NaN' }),
    code: CONFIG,
    says: /beta_start/,
  },
  {
    name: 'no tokenizer',
    damage: remove('tokenizer'),
    code: CONFIG,
    says: /tokenizer\/(vocab\.json|merges\.txt)/,
  },
  { name: 'no vocab.json', damage: remove('tokenizer/vocab.json'), code: CONFIG, says: /vocab\.json/ },
  {
    name: 'a vocabulary that is no JSON',
    damage: write('tokenizer/vocab.json', '{'),
    code: CONFIG,
    says: /vocab\.json/,
  },
  {
    name: 'a vocabulary without the special tokens',
    damage: write('tokenizer/vocab.json', '{"a": 0}'),
    code: CONFIG,
    says: /vocab\.json.*<\|startoftext\|>/,
  },
  { name: 'no merges.txt', damage: remove('tokenizer/merges.txt'), code: CONFIG, says: /merges\.txt/ },
  {
    name: 'merges of one piece',
    damage: write('tokenizer/merges.txt', 'ab\n'),
    code: CONFIG,
    says: /merges\.txt/,
  },
  {
    name: "a vocabulary larger than the text encoder's",
    damage: edit('tokenizer/vocab.json', (vocab) => ({ ...vocab, 'lighthouse</w>': 1000 })),
    code: CONFIG,
    says: /tokenizer has ids up to 1000.*1000 tokens: "lighthouse<\/w>" of .*vocab\.json is 1000/,
  },
  {
    name: 'an added token that the text encoder has no row for',
    damage: write('tokenizer/added_tokens.json', '{"<my-style>": 1000}'),
    code: CONFIG,
    says: /"<my-style>" of .*added_tokens\.json is 1000/,
  },
  {
    name: 'a text encoder of another width',
    damage: replaceModel('text_encoder', { hidden_size: 48, intermediate_size: 64, projection_dim: 48 }),
    code: CONFIG,
    says: /48 wide.*32/,
  },
  {
    name: 'an autoencoder with other latents',
    damage: replaceModel('vae', { latent_channels: 8 }),
    code: CONFIG,
    says: /8 latent channels.*4/,
  },
  {
    name: 'a shard that is missing',
    damage: (folder) => {
      remove(unet)(folder);
      write(`${unet}.index.json`, '{"weight_map": {"conv_in.weight": "shard-1.safetensors"}}')(folder);
    },
    code: FILE,
    says: /shard-1\.safetensors/,
  },
  ...shardNames([
    ['outside of the folder', ['../../secret'], /index\.json.*"\.\.\/\.\.\/secret"/],
    ['that are no texts', [5], /index\.json.* 5, which is no \.safetensors file/],
    ['that are no weights', ['config.json'], /index\.json.*"config\.json"/],
    ['with a NUL', ['a\0.safetensors'], /index\.json.*\\u0000/],
    ['that are none', [], /index\.json.*names 0 files/],
    [
      'that are very many',
      Array.from({ length: 10_001 }, (_, i) => `${i}.safetensors`),
      /index\.json.*10001 files/,
    ],
  ]),
];

function shardNames(cases: readonly (readonly [name: string, shards: readonly unknown[], says: RegExp])[]) {
  return cases.map(([name, shards, says]): Breakage => {
    const weight_map = Object.fromEntries(shards.map((shard, i) => [`${i}.weight`, shard]));
    const damage = (folder: string) => {
      remove(unet)(folder);
      write(`${unet}.index.json`, JSON.stringify({ weight_map }))(folder);
    };
    return { name: `shards ${name}`, damage, code: CONFIG, says };
  });
}

export const BREAKAGES: readonly Breakage[] = [
  ...index,
  ...configs,
  ...contents,
  ...weightFiles,
  ...lies.map(([name, damage, says]) => ({
    name: `unet: ${name}`,
    damage,
    code: FILE as DeepCacheErrorCode,
    says,
  })),
  ...rest,
];
