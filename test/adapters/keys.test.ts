import { describe, expect, test } from '@jest/globals';
import { parseKey } from '../../lib/adapters/key.js';
import { ModuleTable } from '../../lib/adapters/module-table.js';
import type { AdaptablePart, PartName } from '../../lib/adapters/part.js';
import { UNET_CONFIGS } from '../../lib/configs/unets.js';
import { native } from '../../lib/native/binding.js';
import type { ModelKind } from '../../lib/native/types.js';

const TEXT = {
  vocab_size: 100,
  hidden_size: 32,
  intermediate_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  max_position_embeddings: 77,
};

function part(name: PartName, kind: ModelKind, config: Readonly<Record<string, unknown>>): AdaptablePart {
  return {
    part: name,
    config,
    weightShapes: () => native().weightShapes(kind, JSON.stringify(config)),
    adapt: async () => {},
  };
}

const sdxl = new ModuleTable([
  part('unet', 'unet', UNET_CONFIGS.sdxl as object as Record<string, unknown>),
  part('text_encoder', 'text_encoder', TEXT),
  part('text_encoder_2', 'text_encoder', TEXT),
]);
const sd15 = new ModuleTable([
  part('unet', 'unet', UNET_CONFIGS.sd15 as object as Record<string, unknown>),
  part('text_encoder', 'text_encoder', TEXT),
]);

const found = (table: ModuleTable, key: string) => {
  const parsed = parseKey(key);
  const module = parsed && table.find(parsed.layer);
  return module && `${module.part} ${module.path} ${parsed.role}`;
};

describe('keys of files of all origins', () => {
  const block = 'down_blocks.1.attentions.0.transformer_blocks.0';
  const layer = 'text_model.encoder.layers.1';
  test.each([
    // kohya, diffusers' blocks
    [
      'lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q.lora_down.weight',
      `unet ${block}.attn1.to_q down`,
    ],
    ['lora_unet_down_blocks_1_attentions_0_proj_in.alpha', 'unet down_blocks.1.attentions.0.proj_in alpha'],
    ['lora_te_text_model_encoder_layers_1_mlp_fc1.lora_up.weight', `text_encoder ${layer}.mlp.fc1 up`],
    ['lora_unet_conv_in.lora_mid.weight', 'unet conv_in mid'],
    // SGM's blocks
    [
      'lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q.dora_scale',
      `unet ${block}.attn1.to_q doraScale`,
    ],
    ['lora_unet_middle_block_1_proj_in.lora_up.weight', 'unet mid_block.attentions.0.proj_in up'],
    ['lora_unet_middle_block_1_proj_in.a1.weight', 'unet mid_block.attentions.0.proj_in glora_a1'],
    ['lora_unet_middle_block_2_in_layers_2.hada_w1_a', 'unet mid_block.resnets.1.conv1 hada_w1_a'],
    ['lora_unet_time_embed_0.lokr_w2_b', 'unet time_embedding.linear_1 lokr_w2_b'],
    ['lora_unet_out_2.diff_b', 'unet conv_out diff_b'],
    ['lora_unet_input_blocks_3_0_op.diff', 'unet down_blocks.0.downsamplers.0.conv diff'],
    ['diffusion_model.input_blocks.0.0.lora_A.weight', 'unet conv_in down'],
    // PEFT and diffusers
    [`unet.${block}.attn2.to_out.0.lora_A.weight`, `unet ${block}.attn2.to_out.0 down`],
    [`unet.${block}.attn2.to_k.lora_B.default_0.weight`, `unet ${block}.attn2.to_k up`],
    [`unet.${block}.attn2.to_k.lora_B.bias`, `unet ${block}.attn2.to_k upBias`],
    [`unet.${block}.attn2.to_k.lora_magnitude_vector`, `unet ${block}.attn2.to_k magnitudeVector`],
    [`base_model.model.${block}.attn2.to_k.lora_A.weight`, `unet ${block}.attn2.to_k down`],
    [
      `text_encoder.${layer}.self_attn.q_proj.lora_linear_layer.up.weight`,
      `text_encoder ${layer}.self_attn.q_proj up`,
    ],
    // Attention processors
    [`unet.${block}.attn1.processor.to_out_lora.down.weight`, `unet ${block}.attn1.to_out.0 down`],
    [`${block}.attn1.processor.to_q_lora.up.weight`, `unet ${block}.attn1.to_q up`],
    [`text_encoder.${layer}.self_attn.to_out_lora.up.weight`, `text_encoder ${layer}.self_attn.out_proj up`],
    [`text_encoder.${layer}.self_attn.to_k_lora.up.weight`, `text_encoder ${layer}.self_attn.k_proj up`],
    [`unet.${block}.attn1.to_q.lora.down.weight`, `unet ${block}.attn1.to_q down`],
    // LyCORIS
    ['lora_unet_down_blocks_1_resnets_0_norm1.w_norm', 'unet down_blocks.1.resnets.0.norm1 w_norm'],
    [
      'lora_te_text_model_encoder_layers_0_mlp_fc2.on_input',
      'text_encoder text_model.encoder.layers.0.mlp.fc2 on_input',
    ],
  ])('%s', (key, expected) => {
    expect(found(sdxl, key)).toBe(expected);
  });

  test('both text encoders of SDXL', () => {
    const key = 'text_model_encoder_layers_0_self_attn_q_proj.lora_up.weight';
    expect(found(sdxl, `lora_te1_${key}`)).toBe(
      'text_encoder text_model.encoder.layers.0.self_attn.q_proj up',
    );
    expect(found(sdxl, `lora_te2_${key}`)).toBe(
      'text_encoder_2 text_model.encoder.layers.0.self_attn.q_proj up',
    );
    expect(found(sd15, `lora_te2_${key}`)).toBeUndefined();
    expect(found(sdxl, 'text_encoder_2.text_model.encoder.layers.0.mlp.fc1.lora_A.weight')).toBe(
      'text_encoder_2 text_model.encoder.layers.0.mlp.fc1 down',
    );
  });

  test("samplers' places depend on whether there is attention", () => {
    const key = (name: string) => `lora_unet_${name}.lora_down.weight`;
    expect(found(sdxl, key('output_blocks_2_2_conv'))).toBe('unet up_blocks.0.upsamplers.0.conv down');
    expect(found(sd15, key('output_blocks_2_1_conv'))).toBe('unet up_blocks.0.upsamplers.0.conv down');
    expect(found(sd15, key('output_blocks_5_2_conv'))).toBe('unet up_blocks.1.upsamplers.0.conv down');
  });

  test.each([
    'lora_unet_down_blocks_9_attentions_0_proj_in.alpha',
    'lora_te3_text_model_encoder_layers_0_mlp_fc1.lora_down.weight',
    'bundle_emb.mytoken.string_to_param.*',
    'some_random_key',
    'unet.conv_in.lora_C.weight',
    '',
  ])('%p means nothing', (key) => {
    expect(found(sdxl, key)).toBeUndefined();
  });
});
