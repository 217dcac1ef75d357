import { describe, expect, test } from '@jest/globals';
import { PUBLISHED } from '../../../lib/configs/published.js';
import { formerClipNames, openClipNames } from '../../../lib/models/single-file/clip-names.js';
import { entriesOf } from '../../../lib/models/single-file/entries.js';
import type { Naming } from '../../../lib/models/single-file/place.js';
import { ldmUnetNames, unetStructure } from '../../../lib/models/single-file/unet-names.js';
import { ldmVaeNames, videoVaeNames } from '../../../lib/models/single-file/vae-names.js';
import { native } from '../../../lib/native/binding.js';
import type { ModelKind } from '../../../lib/native/types.js';

// What published checkpoints call their tensors; the right side is what is in their files.

type Published = (typeof PUBLISHED)[keyof typeof PUBLISHED];

function namesOf(kind: ModelKind, { files }: Published, part: string = kind): string[] {
  const config = (files as Readonly<Record<string, object>>)[`${part}/config.json`];
  return native()
    .weightShapes(kind, JSON.stringify(config))
    .map(({ name }) => name);
}

const unet = ({ files }: Published) => ldmUnetNames(unetStructure(files['unet/config.json']));
const keyOf = (naming: Naming, name: string) => naming(name).key;

describe('U-Nets', () => {
  test.each([
    ['time_embedding.linear_2.bias', 'time_embed.2.bias'],
    ['conv_in.weight', 'input_blocks.0.0.weight'],
    ['conv_norm_out.weight', 'out.0.weight'],
    ['conv_out.bias', 'out.2.bias'],
    ['down_blocks.0.resnets.0.norm1.weight', 'input_blocks.1.0.in_layers.0.weight'],
    ['down_blocks.0.resnets.1.time_emb_proj.bias', 'input_blocks.2.0.emb_layers.1.bias'],
    ['down_blocks.0.downsamplers.0.conv.weight', 'input_blocks.3.0.op.weight'],
    ['down_blocks.1.resnets.0.conv_shortcut.weight', 'input_blocks.4.0.skip_connection.weight'],
    ['down_blocks.2.attentions.1.proj_in.weight', 'input_blocks.8.1.proj_in.weight'],
    ['down_blocks.3.resnets.1.conv2.weight', 'input_blocks.11.0.out_layers.3.weight'],
    ['mid_block.resnets.1.norm2.weight', 'middle_block.2.out_layers.0.weight'],
    [
      'mid_block.attentions.0.transformer_blocks.0.attn2.to_out.0.bias',
      'middle_block.1.transformer_blocks.0.attn2.to_out.0.bias',
    ],
    ['up_blocks.0.upsamplers.0.conv.weight', 'output_blocks.2.1.conv.weight'],
    ['up_blocks.1.upsamplers.0.conv.weight', 'output_blocks.5.2.conv.weight'],
    ['up_blocks.3.resnets.2.conv1.weight', 'output_blocks.11.0.in_layers.2.weight'],
    ['up_blocks.3.attentions.2.norm.weight', 'output_blocks.11.1.norm.weight'],
  ])('of Stable Diffusion 1: %s', (name, key) => {
    expect(keyOf(unet(PUBLISHED.sd1), name)).toBe(key);
  });

  test.each([
    ['add_embedding.linear_1.weight', 'label_emb.0.0.weight'],
    ['down_blocks.1.attentions.0.proj_in.weight', 'input_blocks.4.1.proj_in.weight'],
    ['up_blocks.0.upsamplers.0.conv.weight', 'output_blocks.2.2.conv.weight'],
    ['up_blocks.2.resnets.2.conv_shortcut.bias', 'output_blocks.8.0.skip_connection.bias'],
  ])('of SDXL: %s', (name, key) => {
    expect(keyOf(unet(PUBLISHED.sdxl), name)).toBe(key);
  });

  test.each([
    ['down_blocks.0.resnets.0.spatial_res_block.conv1.weight', 'input_blocks.1.0.in_layers.2.weight'],
    [
      'down_blocks.0.resnets.0.temporal_res_block.time_emb_proj.weight',
      'input_blocks.1.0.time_stack.emb_layers.1.weight',
    ],
    ['up_blocks.0.resnets.1.time_mixer.mix_factor', 'output_blocks.1.0.time_mixer.mix_factor'],
    [
      'mid_block.attentions.0.temporal_transformer_blocks.0.ff_in.net.2.bias',
      'middle_block.1.time_stack.0.ff_in.net.2.bias',
    ],
    ['mid_block.attentions.0.time_pos_embed.linear_2.weight', 'middle_block.1.time_pos_embed.2.weight'],
  ])('of videos: %s', (name, key) => {
    expect(keyOf(unet(PUBLISHED.svd), name)).toBe(key);
  });

  test('have as many tensors as the published files', () => {
    const counts = { sd1: 686, 'sd2-base': 686, sdxl: 1680 };
    for (const [name, count] of Object.entries(counts)) {
      const published = PUBLISHED[name as keyof typeof counts];
      const entries = entriesOf(namesOf('unet', published), unet(published));
      expect(entries).toHaveLength(count);
    }
  });
});

describe('autoencoders', () => {
  test.each([
    ['encoder.down_blocks.1.resnets.0.conv_shortcut.weight', 'encoder.down.1.block.0.nin_shortcut.weight'],
    ['encoder.down_blocks.2.downsamplers.0.conv.bias', 'encoder.down.2.downsample.conv.bias'],
    ['encoder.mid_block.resnets.1.norm1.weight', 'encoder.mid.block_2.norm1.weight'],
    ['decoder.mid_block.attentions.0.group_norm.bias', 'decoder.mid.attn_1.norm.bias'],
    ['decoder.up_blocks.0.resnets.2.conv1.weight', 'decoder.up.3.block.2.conv1.weight'],
    ['decoder.up_blocks.2.upsamplers.0.conv.weight', 'decoder.up.1.upsample.conv.weight'],
    ['decoder.conv_norm_out.weight', 'decoder.norm_out.weight'],
    ['post_quant_conv.bias', 'post_quant_conv.bias'],
  ])('%s', (name, key) => {
    expect(ldmVaeNames(4)(name)).toEqual({ key });
  });

  test('have linear layers as convolutions', () => {
    const { key, op } = ldmVaeNames(4)('decoder.mid_block.attentions.0.to_out.0.weight');
    expect([key, op]).toEqual(['decoder.mid.attn_1.proj_out.weight', 'squeeze_hw']);
    expect(ldmVaeNames(4)('decoder.mid_block.attentions.0.to_q.bias')).toEqual({
      key: 'decoder.mid.attn_1.q.bias',
    });
    expect(entriesOf(namesOf('vae', PUBLISHED.sd1), ldmVaeNames(4))).toHaveLength(248);
  });

  test.each([
    ['encoder.conv_in.weight', 'conditioner.embedders.3.encoder.encoder.conv_in.weight'],
    ['quant_conv.weight', 'conditioner.embedders.3.encoder.quant_conv.weight'],
    [
      'decoder.up_blocks.0.resnets.0.temporal_res_block.conv2.bias',
      'first_stage_model.decoder.up.3.block.0.time_stack.out_layers.3.bias',
    ],
    ['decoder.mid_block.resnets.0.time_mixer.mix_factor', 'first_stage_model.decoder.mid.block_1.mix_factor'],
    ['decoder.time_conv_out.weight', 'first_stage_model.decoder.conv_out.time_mix_conv.weight'],
  ])('of videos: %s', (name, key) => {
    expect(keyOf(videoVaeNames(4), name)).toBe(key);
  });
});

describe('CLIP', () => {
  const layer = 'text_model.encoder.layers.3';
  test.each([
    ['text_model.embeddings.token_embedding.weight', 'token_embedding.weight'],
    ['text_model.embeddings.position_embedding.weight', 'positional_embedding'],
    [`${layer}.self_attn.out_proj.bias`, 'transformer.resblocks.3.attn.out_proj.bias'],
    [`${layer}.layer_norm2.weight`, 'transformer.resblocks.3.ln_2.weight'],
    [`${layer}.mlp.fc2.weight`, 'transformer.resblocks.3.mlp.c_proj.weight'],
    ['text_model.final_layer_norm.weight', 'ln_final.weight'],
    ['vision_model.pre_layrnorm.bias', 'ln_pre.bias'],
    ['vision_model.embeddings.patch_embedding.weight', 'conv1.weight'],
    ['vision_model.embeddings.class_embedding', 'class_embedding'],
  ])('in open_clip: %s', (name, key) => {
    expect(openClipNames(name)).toEqual({ key });
  });

  test('has queries, keys and values in one matrix, and its projection the other way round', () => {
    const names = ['q', 'k', 'v'].map((letter) => `${layer}.self_attn.${letter}_proj.weight`);
    // Their order in a folder means nothing.
    expect(entriesOf([...names].reverse(), openClipNames)).toEqual([
      { key: 'transformer.resblocks.3.attn.in_proj_weight', names, op: 'concat_rows' },
    ]);
    expect(openClipNames('text_projection.weight')).toEqual({ key: 'text_projection', op: 'transpose' });
    expect(openClipNames('visual_projection.weight')).toEqual({ key: 'proj', op: 'transpose' });
  });

  test('had no text_model once', () => {
    expect(keyOf(formerClipNames, `${layer}.mlp.fc1.bias`)).toBe('encoder.layers.3.mlp.fc1.bias');
  });
});

test('no two tensors of a published model have the same place', () => {
  for (const published of Object.values(PUBLISHED)) {
    const isVideo = published === PUBLISHED.svd;
    const parts: [ModelKind, string, Naming][] = [
      ['unet', 'unet', unet(published)],
      ['vae', 'vae', isVideo ? videoVaeNames(4) : ldmVaeNames(4)],
      ...Object.keys(published.padTokens).map((tokenizer): [ModelKind, string, Naming] => [
        'text_encoder',
        tokenizer.replace('tokenizer', 'text_encoder'),
        openClipNames,
      ]),
      ...(isVideo ? [['image_encoder', 'image_encoder', openClipNames] as [ModelKind, string, Naming]] : []),
    ];
    for (const [kind, part, naming] of parts) {
      const names = namesOf(kind, published, part);
      const places = names.map((name) => JSON.stringify([naming(name).key, naming(name).part]));
      expect(new Set(places).size).toBe(names.length);
    }
  }
});
