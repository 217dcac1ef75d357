import { fingerprintOf } from '../adapters/fingerprint.js';
import { invalidWeights } from '../errors.js';
import type { NetworkFiles } from '../models/model-files.js';
import type { TensorShape } from '../native/types.js';
import { openWeights } from '../weights/open.js';
import type { StoredTensor } from '../weights/stored-tensor.js';

/** A cross attention of a U-Net. */
export interface CrossAttention {
  /** Its module. */
  readonly name: string;
  readonly channels: number;
  /** Width of the text that it reads. */
  readonly width: number;
}

/** An IP-Adapter's file, for a U-Net. */
export interface IpAdapterFile {
  readonly network: NetworkFiles;
  /** See fingerprintOf. */
  readonly hash: string;
  /** Whether it looks at all tokens of the image encoder (Plus), or at its embedding. */
  readonly readsTokens: boolean;
  /** Width of those tokens, or of the embedding. */
  readonly imageWidth: number;
  /** Tokens that a picture becomes. */
  readonly tokens: number;
}

/** A U-Net's cross attentions in the order of a full pass. */
export function crossAttentions(weights: readonly TensorShape[]): CrossAttention[] {
  return weights.flatMap(({ name, shape }) => {
    // Those of motion modules read no text.
    const [, module] = /^(.*\.attentions\..*\.attn2)\.to_k\.weight$/.exec(name) ?? [];
    if (module === undefined) return [];
    return [{ name: module, channels: shape[0] as number, width: shape[1] as number }];
  });
}

/** Other kinds of image prompts, by what their files hold besides, or instead. */
const OTHERS: readonly (readonly [RegExp, string])[] = [
  [/^image_proj\.perceiver_resampler\./, 'a FaceID Plus adapter, which needs a face recognition model'],
  [/\.to_[qkv]_lora\./, 'a FaceID adapter, which needs a face recognition model'],
  [/^image_proj\.proj\.(0|2|3)\./, 'a full-face adapter, which is not implemented'],
  [/^(double_blocks|single_blocks|ip_adapter_proj_model)/, 'an adapter for a diffusion transformer'],
];

/**
 * Reads the tables of a file: safetensors, or a pickle with a dictionary in a dictionary.
 *
 * @throws DeepCacheError ERR_DEEPCACHE_INVALID_WEIGHTS for one that is no IP-Adapter, or is for another kind of U-Net.
 */
export async function readIpAdapter(
  path: string,
  attentions: readonly CrossAttention[],
  signal?: AbortSignal,
): Promise<IpAdapterFile> {
  const { tensors, format, stamp } = await openWeights(path, { signal });
  for (const [key, what] of OTHERS)
    if (tensors.some(({ name }) => key.test(name))) throw invalidWeights(path, `is ${what}`);
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  const layers = keysAndValues(path, byName, attentions);
  const projection = projectionOf(path, byName, attentions[0]?.width ?? 0);
  const { config, isPlus } = projection;
  const text = JSON.stringify({
    ...config,
    cross_attention_dim: attentions[0]?.width,
    attention_channels: attentions.map(({ channels }) => channels),
  });
  return {
    network: {
      place: path,
      configFile: path,
      configText: text,
      config: JSON.parse(text),
      files: [path],
      tensors: [...projection.tensors, ...layers],
      stamps: new Map([[path, stamp]]),
    },
    hash: await fingerprintOf(path, tensors, format === 'safetensors', signal),
    readsTokens: isPlus,
    imageWidth: config.image_width,
    tokens: config.tokens,
  };
}

const GROUPS = ['down_blocks', 'up_blocks', 'mid_block'];

/** `ip_adapter.1`, `.3` ... count the cross attentions: down blocks, up blocks, then the mid block. */
function keysAndValues(
  path: string,
  byName: ReadonlyMap<string, StoredTensor>,
  attentions: readonly CrossAttention[],
): StoredTensor[] {
  const numbers = [...byName.keys()].flatMap(
    (name) => /^ip_adapter\.(\d+)\.to_k_ip\.weight$/.exec(name)?.[1] ?? [],
  );
  if (numbers.length === 0)
    throw invalidWeights(path, 'is no IP-Adapter: it has no ip_adapter.<n>.to_k_ip.weight');
  if (numbers.length !== attentions.length) {
    throw invalidWeights(
      path,
      `is for another kind of model: for ${numbers.length} cross attentions, this U-Net has ${attentions.length}`,
    );
  }
  const order = GROUPS.flatMap((group) =>
    attentions.flatMap(({ name }, i) => (name.startsWith(group) ? [i] : [])),
  );
  return order.flatMap((layer, i) => {
    const { channels, width } = attentions[layer] as CrossAttention;
    return ['to_k_ip', 'to_v_ip'].map((product) => {
      const tensor = requireTensor(path, byName, `ip_adapter.${2 * i + 1}.${product}.weight`, 2);
      const [out, input] = tensor.shape;
      if (out === channels && input === width)
        return { ...tensor, name: `layers.${layer}.${product}.weight` };
      throw invalidWeights(
        path,
        `is for another kind of model: ${tensor.name} is [${tensor.shape.join(', ')}], this U-Net needs [${channels}, ${width}]`,
      );
    });
  });
}

const HEAD_WIDTH = 64;

function projectionOf(path: string, byName: ReadonlyMap<string, StoredTensor>, width: number) {
  const own = [...byName.values()].flatMap((tensor) =>
    tensor.name.startsWith('image_proj.')
      ? [{ ...tensor, name: tensor.name.slice('image_proj.'.length) }]
      : [],
  );
  const shape = (name: string, axes: number) => requireTensor(path, byName, `image_proj.${name}`, axes).shape;
  if (!byName.has('image_proj.latents')) {
    const [rows = 0, imageWidth = 0] = shape('proj.weight', 2);
    const tokens = rows / width;
    if (!Number.isInteger(tokens))
      throw invalidWeights(path, `makes ${rows} values of a picture, not tokens of ${width}`);
    return { isPlus: false, tensors: own, config: { projection: 'linear', image_width: imageWidth, tokens } };
  }
  const [, tokens = 0, inner = 0] = shape('latents', 3);
  const [, imageWidth = 0] = shape('proj_in.weight', 2);
  const [queries = 0] = shape('layers.0.0.to_q.weight', 2);
  const [mlp = 0] = shape('layers.0.1.1.weight', 2);
  const layers = own.filter(({ name }) => /^layers\.\d+\.0\.to_q\.weight$/.test(name)).length;
  const config = {
    projection: 'resampler',
    image_width: imageWidth,
    tokens,
    width: inner,
    layers,
    heads: queries / HEAD_WIDTH,
    head_width: HEAD_WIDTH,
    mlp_width: mlp,
  };
  if (!Number.isInteger(config.heads))
    throw invalidWeights(path, `has a resampler with queries of ${queries}, not heads of ${HEAD_WIDTH}`);
  const tensors = own.map((tensor) =>
    tensor.name === 'latents' ? { ...tensor, shape: [tokens, inner] } : tensor,
  );
  return { isPlus: true, tensors, config };
}

function requireTensor(
  path: string,
  byName: ReadonlyMap<string, StoredTensor>,
  name: string,
  axes: number,
): StoredTensor {
  const found = byName.get(name);
  if (!found) throw invalidWeights(path, `is no IP-Adapter that is known: it lacks ${name}`);
  if (found.shape.length !== axes)
    throw invalidWeights(
      path,
      `has ${name} of shape [${found.shape.join(', ')}], which has not ${axes} axes`,
    );
  return found;
}
