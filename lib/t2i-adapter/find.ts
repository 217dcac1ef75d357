import { invalidWeights } from '../errors.js';
import type { JsonObject } from '../files/json.js';
import { isFolder } from '../files/read.js';
import { type FindOptions, findModel, type NetworkFiles } from '../models/model-files.js';
import { Checkpoint } from '../models/single-file/checkpoint.js';
import { type Naming, prefixed, sameNames } from '../models/single-file/place.js';
import { native } from '../native/binding.js';

const PREFIX = 'adapter.';

/** What else goes by the name, and is another kind of network. */
const OTHERS: readonly (readonly [RegExp, string])[] = [
  [
    /^transformer_layes\.|^ln_pre\.|^proj$/,
    'a style adapter, or the fuser of CoAdapters, which are not implemented',
  ],
  [/\.down_opt\.op\./, 'an adapter with convolutions that halve the size, which is not implemented'],
  [/\.skep\./, 'an adapter with convolutions beside its blocks, which is not implemented'],
];

/**
 * The configuration and the weights of a T2I-Adapter: a folder in the diffusers layout, or a single file with the names of
 * diffusers or of the original code (TencentARC), whose configuration its weights tell.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_WEIGHTS for a file that is none.
 */
export async function findT2IAdapter(place: string, options: FindOptions = {}): Promise<NetworkFiles> {
  if (isFolder(place)) return findModel(place, 'diffusion_pytorch_model', options);
  const checkpoint = await Checkpoint.open(place, options);
  const prefix = checkpoint.hasPrefix(PREFIX) ? PREFIX : '';
  const layout = layoutOf(checkpoint, prefix);
  for (const [key, what] of OTHERS) if (checkpoint.some(key)) throw invalidWeights(place, `is ${what}`);
  if (!layout) {
    throw invalidWeights(place, 'is no T2I-Adapter: it holds no body.0.in_conv or body.0.block1 or the like');
  }
  const text = JSON.stringify(layout.config);
  const wanted = native().weightShapes('t2i_adapter', text);
  const named = prefixed(prefix, (name) => layout.naming(name.slice(PREFIX.length)));
  const tensors = checkpoint.tableOf(wanted, named, 'T2I-Adapter');
  return checkpoint.network({ path: place, text, value: layout.config }, tensors);
}

interface Layout {
  readonly config: JsonObject;
  /** Of diffusers' names without their first part. */
  readonly naming: Naming;
}

/** What the weights say of the network; undefined for those of something else. */
function layoutOf(checkpoint: Checkpoint, prefix: string): Layout | undefined {
  const extent = (name: string, axis: number) => checkpoint.find(`${prefix}${name}`)?.shape[axis];
  const count = (nameOf: (i: number) => string) => {
    let i = 0;
    while (checkpoint.has(`${prefix}${nameOf(i)}`)) i++;
    return i;
  };
  const light = extent('body.0.out_conv.weight', 0) !== undefined;
  const width = light ? extent('body.0.in_conv.weight', 1) : extent('conv_in.weight', 1);
  if (width === undefined) return undefined;
  // Squares of 16 pixels a side are SDXL's; of 8, the others'.
  const downscale = width % 256 === 0 ? 16 : 8;
  const shared = {
    _class_name: 'T2IAdapter',
    adapter_type: light ? 'light_adapter' : downscale === 16 ? 'full_adapter_xl' : 'full_adapter',
    in_channels: width / downscale ** 2,
    downscale_factor: downscale,
  };
  if (light) {
    const blocks = count((i) => `body.${i}.out_conv.weight`);
    const inner = checkpoint.has(`${prefix}body.0.body.0.block1.weight`) ? 'body' : 'resnets';
    const channels = Array.from(
      { length: blocks - 1 },
      (_, i) => extent(`body.${i}.out_conv.weight`, 0) ?? 0,
    );
    const config = {
      ...shared,
      channels,
      num_res_blocks: count((i) => `body.0.${inner}.${i}.block1.weight`),
    };
    return { config, naming: (name) => ({ key: name.replace('.resnets.', `.${inner}.`) }) };
  }
  const levels = count((i) => `body.${i}.resnets.0.block1.weight`);
  if (levels > 0) {
    const channels = Array.from(
      { length: levels },
      (_, i) => extent(`body.${i}.resnets.0.block1.weight`, 0) ?? 0,
    );
    const config = { ...shared, channels, num_res_blocks: count((i) => `body.0.resnets.${i}.block1.weight`) };
    return { config, naming: sameNames };
  }
  const blocks = count((i) => `body.${i}.block1.weight`);
  if (blocks === 0) return undefined;
  return flatLayout(checkpoint, prefix, blocks, shared);
}

/** The original full adapter's: one list of blocks, in which a level begins where the channels change. */
function flatLayout(checkpoint: Checkpoint, prefix: string, blocks: number, shared: JsonObject): Layout {
  const channelsOf = (block: number) =>
    checkpoint.find(`${prefix}body.${block}.block1.weight`)?.shape[0] as number;
  let each = 1;
  while (each < blocks && channelsOf(each) === channelsOf(0)) each++;
  if (each === blocks) each = 2;
  const channels: number[] = [];
  for (let block = 0; block < blocks; block += each) channels.push(channelsOf(block));
  const config = { ...shared, channels, num_res_blocks: each };
  const naming: Naming = (name) => {
    const [, level, block, rest] = /^body\.(\d+)\.resnets\.(\d+)\.(.+)$/.exec(name) ?? [];
    if (level !== undefined) return { key: `body.${Number(level) * each + Number(block)}.${rest}` };
    const [, first, ending] = /^body\.(\d+)\.in_conv\.(.+)$/.exec(name) ?? [];
    return { key: first === undefined ? name : `body.${Number(first) * each}.in_conv.${ending}` };
  };
  return { config, naming };
}
