import { familyOfContext } from '../../adapters/family.js';
import { Checkpoint } from '../../models/single-file/checkpoint.js';
import { layoutOf } from '../../models/single-file/layouts.js';
import { isHalfOfTiny, tinyConfigOf, tinyDecoderOf } from '../../models/single-file/tiny-vae.js';
import { readArchitecture } from '../../upscale/architecture.js';
import type { StoredTensor, WeightsFile } from '../../weights/stored-tensor.js';
import { adapterKind } from './adapter-kind.js';
import type { FileKind } from './kind.js';

/** What a file is; undefined where it is of another kind. */
type Recogniser = (file: Checkpoint) => FileKind | undefined;

/** What has names of U-Nets, too. */
const BESIDE_UNETS: readonly Recogniser[] = [controlNet, motionModule];

/** In this order: a file may have the names of several. */
const RECOGNISERS: readonly Recogniser[] = [
  ipAdapter,
  controlNet,
  t2iAdapter,
  adapterKind,
  motionModule,
  tinyAutoencoder,
  autoencoder,
  textEncoder,
  imageEncoder,
  embedding,
  upscaler,
];

/** @param reason why it is no model. */
export function fileKindOf({ path, tensors }: WeightsFile, reason: string): FileKind {
  const file = new Checkpoint(path, tensors);
  for (const recognise of layoutOf(file, 'unet') ? BESIDE_UNETS : RECOGNISERS) {
    const found = recognise(file);
    if (found) return found;
  }
  // A model whose configuration has to be given, or that is of a kind that no pipeline computes.
  return { kind: layoutOf(file, 'unet') ? 'model' : 'unknown', title: reason };
}

/** The first tensor whose name ends like this. */
function like(file: Checkpoint, pattern: RegExp): StoredTensor | undefined {
  for (const [name, tensor] of file.tensors) if (pattern.test(name)) return tensor;
  return undefined;
}

const widthOf = (file: Checkpoint, pattern: RegExp) => like(file, pattern)?.shape[1];

function count(file: Checkpoint, pattern: RegExp): number {
  let found = 0;
  for (const name of file.names) if (pattern.test(name)) found++;
  return found;
}

function ipAdapter(file: Checkpoint): FileKind | undefined {
  const layers = count(file, /^ip_adapter\.\d+\.to_k_ip\.weight$/);
  if (layers === 0) return undefined;
  const isFace = file.some(/\.to_[qkv]_lora\.|perceiver_resampler/);
  const isPlus = file.has('image_proj.latents');
  return {
    kind: 'ip-adapter',
    title: isFace ? 'an IP-Adapter (FaceID)' : isPlus ? 'an IP-Adapter (Plus)' : 'an IP-Adapter',
    family: familyOfContext(widthOf(file, /\.to_k_ip\.weight$/)),
    facts: { attentions: layers },
    ...(!isFace && { use: 'pipe.loadIpAdapter(file); --ip-adapter' }),
  };
}

function controlNet(file: Checkpoint): FileKind | undefined {
  const hint = like(
    file,
    /^(?:control_model\.)?(?:input_hint_block\.0|controlnet_cond_embedding\.conv_in)\.weight$/,
  );
  if (!hint) return undefined;
  const isLora = file.has('lora_controlnet');
  const isUnion = file.some(/(?:^|\.)(?:task_embedding|control_type_proj)\b/);
  return {
    kind: 'controlnet',
    title: isLora ? 'a Control-LoRA' : isUnion ? 'a ControlNet of several kinds (Union)' : 'a ControlNet',
    family: familyOfContext(widthOf(file, /attn2\.to_k\.weight$/)),
    facts: { 'channels of its picture': hint.shape[1] ?? 0 },
    ...(!isLora && { use: 'fromPretrained(model, { controlNet: file }); --control-net' }),
  };
}

function t2iAdapter(file: Checkpoint): FileKind | undefined {
  const block = like(file, /^(?:adapter\.)?body\.0\.(?:(?:resnets|body)\.0\.)?block1\.weight$/);
  if (!block) return undefined;
  // Pixels that its first layer makes channels of: 8 x 8, 16 x 16 for SDXL; of a picture in colours, or grey.
  const inputs = widthOf(file, /^(?:adapter\.)?(?:conv_in|body\.0\.in_conv)\.weight$/);
  const [family, pixels] =
    inputs === 768 || inputs === 256 ? ['SDXL', 256] : inputs === 192 || inputs === 64 ? [SD, 64] : [];
  return {
    kind: 't2i-adapter',
    title: 'a T2I-Adapter',
    family: family as string | undefined,
    ...(inputs !== undefined &&
      pixels && { facts: { 'channels of its picture': inputs / (pixels as number) } }),
    use: 'fromPretrained(model, { t2iAdapter: file }); --t2i-adapter',
  };
}

const SD = 'Stable Diffusion 1.x or 2.x';

function motionModule(file: Checkpoint): FileKind | undefined {
  const modules = count(file, /motion_modules\.\d+\..*proj_in\.weight$/);
  if (modules === 0) return undefined;
  const positions = like(file, /pos_e(?:ncoder|mbed)\.pe$/)?.shape.at(-2);
  return {
    kind: 'motion-module',
    title: 'a motion module of AnimateDiff',
    facts: { modules, ...(positions !== undefined && { 'frames at most': positions }) },
    use: 'fromPretrained(model, { motionAdapter: file }); --motion-adapter',
  };
}

function embedding(file: Checkpoint): FileKind | undefined {
  const tensors = [...file.tensors];
  const named = (pattern: RegExp) => tensors.find(([name]) => pattern.test(name))?.[1];
  const pair = named(/^(?:clip_g|text_encoders_1)$/);
  const [first] = tensors;
  const alone = tensors.length === 1 && (first?.[1].shape.length ?? 3) <= 2 ? first?.[1] : undefined;
  const rows = pair ?? named(/^(?:emb_params|string_to_param\..*)$/) ?? alone;
  const width = rows?.shape.at(-1);
  const family = pair ? 'SDXL' : width === undefined ? undefined : familyOfContext(width);
  if (!rows || (rows === alone && family === undefined)) return undefined;
  return {
    kind: 'embedding',
    title: 'a textual inversion',
    family,
    facts: { vectors: rows.shape.length > 1 ? (rows.shape[0] as number) : 1 },
    use: 'pipe.loadTextualInversion(file); --embedding',
  };
}

function tinyAutoencoder(file: Checkpoint): FileKind | undefined {
  const config = tinyConfigOf(file)?.value;
  if (config) {
    return {
      kind: 'autoencoder',
      title: 'an AutoencoderTiny (TAESD)',
      facts: { 'channels of latents': Number(config.latent_channels) },
      use: `${VAE}; for previews alone: previewVae, --preview-vae`,
    };
  }
  if (!isHalfOfTiny(file)) return undefined;
  const decodes = tinyDecoderOf(file) !== undefined;
  return {
    kind: 'autoencoder',
    title: `half of an AutoencoderTiny (TAESD), under its authors’ names: its ${decodes ? 'decoder' : 'encoder'}`,
    ...(decodes && { use: 'fromPretrained(model, { previewVae: file }); --preview-vae' }),
  };
}

const VAE = 'fromPretrained(model, { vae: file }); --vae';

function autoencoder(file: Checkpoint): FileKind | undefined {
  const layout = layoutOf(file, 'vae');
  if (!layout) return undefined;
  const isVideo = /time/.test(layout.probe);
  const channels = widthOf(file, /(?:^|\.)decoder\.conv_in\.weight$/);
  return {
    kind: 'autoencoder',
    title: isVideo ? 'an autoencoder for videos' : 'an autoencoder',
    ...(channels !== undefined && { facts: { 'channels of latents': channels } }),
    use: VAE,
  };
}

/** By the width of their states. */
const ENCODERS: Readonly<Record<number, readonly [family: string, use: string]>> = {
  768: ['Stable Diffusion 1.x, and the first of SDXL', 'textEncoder: file }); --text-encoder'],
  1024: ['Stable Diffusion 2.x', 'textEncoder: file }); --text-encoder'],
  1280: ['SDXL, its second one', 'textEncoder2: file }); --text-encoder-2'],
};

function textEncoder(file: Checkpoint): FileKind | undefined {
  if (!layoutOf(file, 'text_encoder') && !layoutOf(file, 'text_encoder_2')) return undefined;
  const width = widthOf(file, /(?:^|\.)token_embedding\.weight$/) ?? 0;
  const [family, use] = ENCODERS[width] ?? [];
  return {
    kind: 'text-encoder',
    title: 'a text encoder of CLIP',
    family,
    facts: { width },
    ...(use && { use: `fromPretrained(model, { ${use}` }),
  };
}

function imageEncoder(file: Checkpoint): FileKind | undefined {
  const layout = layoutOf(file, 'image_encoder');
  if (!layout) return undefined;
  return {
    kind: 'image-encoder',
    title: 'an image encoder of CLIP',
    facts: { width: file.find(layout.prefix + layout.probe)?.shape[0] ?? 0 },
  };
}

function upscaler(file: Checkpoint): FileKind | undefined {
  try {
    const stored = [...file.tensors].map(([name, tensor]) => ({ ...tensor, name }));
    const { config } = readArchitecture(file.path, stored);
    const { _class_name, num_feat, upscale, num_upsample, unshuffle } = config;
    const factor = Number(upscale ?? 2 ** Number(num_upsample) / Number(unshuffle ?? 1));
    return {
      kind: 'upscaler',
      title: `an upscaler (${_class_name})`,
      facts: { factor, channels: Number(num_feat) },
      use: 'Upscaler.fromPretrained(file); deepcache upscale --model',
    };
  } catch {
    return undefined;
  }
}
