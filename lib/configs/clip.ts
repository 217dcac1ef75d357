/** The CLIP encoders of published models, from the config.json files of their folders. */

const TEXT = {
  architectures: ['CLIPTextModel'],
  attention_dropout: 0,
  bos_token_id: 0,
  // Wrong, but what the published models have: it means that the end token is the one with the largest id.
  eos_token_id: 2,
  initializer_factor: 1,
  initializer_range: 0.02,
  layer_norm_eps: 1e-5,
  max_position_embeddings: 77,
  model_type: 'clip_text_model',
  pad_token_id: 1,
  vocab_size: 49408,
};

/** OpenAI's ViT-L/14: Stable Diffusion 1, and the first encoder of SDXL. */
export const CLIP_L_TEXT = {
  ...TEXT,
  hidden_act: 'quick_gelu',
  hidden_size: 768,
  intermediate_size: 3072,
  num_attention_heads: 12,
  num_hidden_layers: 12,
  projection_dim: 768,
};

/** OpenCLIP's ViT-H/14 without its last layer: Stable Diffusion 2. */
export const CLIP_H_TEXT = {
  ...TEXT,
  hidden_act: 'gelu',
  hidden_size: 1024,
  intermediate_size: 4096,
  num_attention_heads: 16,
  num_hidden_layers: 23,
  projection_dim: 512,
};

/** OpenCLIP's ViT-bigG/14: the second encoder of SDXL. */
export const CLIP_G_TEXT = {
  ...TEXT,
  architectures: ['CLIPTextModelWithProjection'],
  hidden_act: 'gelu',
  hidden_size: 1280,
  intermediate_size: 5120,
  num_attention_heads: 20,
  num_hidden_layers: 32,
  projection_dim: 1280,
};

/** OpenCLIP's ViT-H/14: the pictures of Stable Video Diffusion. */
export const CLIP_H_VISION = {
  architectures: ['CLIPVisionModelWithProjection'],
  hidden_act: 'gelu',
  hidden_size: 1280,
  image_size: 224,
  intermediate_size: 5120,
  layer_norm_eps: 1e-5,
  model_type: 'clip_vision_model',
  num_attention_heads: 16,
  num_channels: 3,
  num_hidden_layers: 32,
  patch_size: 14,
  projection_dim: 1024,
};
