import { type Naming, type Place, type Replacements, replaceModules } from './place.js';

const TEXT: Replacements = [
  ['text_model.embeddings.token_embedding.weight', 'token_embedding.weight'],
  ['text_model.embeddings.position_embedding.weight', 'positional_embedding'],
  ['text_model.final_layer_norm', 'ln_final'],
  ['text_model.encoder.layers', 'transformer.resblocks'],
];

const VISION: Replacements = [
  ['vision_model.embeddings.patch_embedding', 'conv1'],
  ['vision_model.embeddings.class_embedding', 'class_embedding'],
  ['vision_model.embeddings.position_embedding.weight', 'positional_embedding'],
  ['vision_model.pre_layrnorm', 'ln_pre'],
  ['vision_model.post_layernorm', 'ln_post'],
  ['vision_model.encoder.layers', 'transformer.resblocks'],
];

const LAYER: Replacements = [
  ['self_attn.out_proj', 'attn.out_proj'],
  ['layer_norm1', 'ln_1'],
  ['layer_norm2', 'ln_2'],
  ['mlp.fc1', 'mlp.c_fc'],
  ['mlp.fc2', 'mlp.c_proj'],
];

const PROJECTIONS: Readonly<Record<string, string>> = {
  'text_projection.weight': 'text_projection',
  'visual_projection.weight': 'proj',
};

/** transformers' names of CLIP encoders, of texts and of pictures, in those of open_clip. */
export const openClipNames: Naming = (name): Place => {
  if (Object.hasOwn(PROJECTIONS, name)) return { key: PROJECTIONS[name] as string, op: 'transpose' };
  const key = replaceModules(replaceModules(replaceModules(name, TEXT), VISION), LAYER);
  const found = /^(.*)\.self_attn\.([qkv])_proj\.(weight|bias)$/.exec(key);
  if (!found) return { key };
  const [, layer, letter = '', kind] = found;
  const part = 'qkv'.indexOf(letter) as 0 | 1 | 2;
  return { key: `${layer}.attn.in_proj_${kind}`, op: 'concat_rows', part };
};

/** transformers' names before text_model was a module of its own. */
export const formerClipNames: Naming = (name) => ({ key: name.replace(/^text_model\./, '') });
