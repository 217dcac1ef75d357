#include "clip_vision.h"

#include "bounds.h"
#include "config.h"
#include "recorder.h"

namespace deepcache {

ClipVisionConfig ClipVisionConfig::parse(const std::string& json) {
  const ConfigReader whole(json, "image encoder config");
  whole.only("model_type", {"clip_vision_model", "clip"});
  const ConfigReader in = whole.section_or_this("vision_config");
  in.only("hidden_act", {"quick_gelu", "gelu"});
  ClipVisionConfig out;
  out.width = in.integer("hidden_size", 768);
  out.mlp_width = in.integer("intermediate_size", 3072);
  out.layers = in.integer("num_hidden_layers", 12);
  out.heads = in.integer("num_attention_heads", 12);
  out.channels = in.integer("num_channels", 3);
  out.image_size = in.integer("image_size", 224);
  out.patch_size = in.integer("patch_size", 32);
  out.projection = whole.integer("projection_dim", in.integer("projection_dim", 512));
  out.epsilon = float(in.number("layer_norm_eps", 1e-5));
  out.activation =
      in.string("hidden_act", "quick_gelu") == "gelu" ? Activation::gelu : Activation::quick_gelu;
  validate(out);
  return out;
}

Plan plan_clip_vision(const ClipVisionConfig& config, int batch) {
  Plan plan;
  Recorder record(plan);
  const std::string model = "vision_model.";
  const int width = config.width, size = config.image_size, tokens = config.tokens();
  const auto embedding = [&](Tensor ids, WeightId table) {
    Embedding op;
    op.ids = ids;
    op.table = table;
    op.y = plan.temporary({ids.shape.n, 1, ids.shape.w, width});
    plan.add(op);
    return op.y;
  };
  const Tensor patches =
      record.conv(plan.external(PortKind::image, {batch, size, size, config.channels}),
                  model + "embeddings.patch_embedding",
                  {.out = width,
                   .kernel = config.patch_size,
                   .stride = config.patch_size,
                   .pad = 0,
                   .bias = false});
  const Tensor first = plan.external(PortKind::class_token, {batch, 1, 1, 1}, Type::i32);
  const Tensor class_token =
      embedding(first, record.vector({model + "embeddings.class_embedding"}, {width}));
  const Tensor sequence = record.token_concat(class_token, patches);
  const WeightId table =
      plan.weight({Recipe::table, {model + "embeddings.position_embedding.weight"}, tokens, width});
  const Tensor positions =
      embedding(plan.external(PortKind::position, {1, 1, tokens, 1}, Type::i32), table);
  Tensor x = record.elementwise(sequence, 1, positions, 1, Activation::none);

  x = record.layer_norm(x, model + "pre_layrnorm", config.epsilon);
  for (int layer = 0; layer < config.layers; ++layer) {
    if (layer == config.layers - 1) plan.make_external(x, PortKind::hidden);
    const std::string name = model + "encoder.layers." + std::to_string(layer);
    const std::string self = name + ".self_attn";
    Tensor h = record.layer_norm(x, name + ".layer_norm1", config.epsilon);
    const Tensor qkv = record.linears(h, {self + ".q_proj", self + ".k_proj", self + ".v_proj"},
                                      {width, width, width}, true);
    h = record.attention(qkv, 0, qkv, width, qkv, 2 * width, config.heads, width / config.heads);
    x = record.conv(h, self + ".out_proj", {.out = width, .residual = x, .linear = true});
    h = record.layer_norm(x, name + ".layer_norm2", config.epsilon);
    h = record.conv(h, name + ".mlp.fc1",
                    {.out = config.mlp_width, .activation = config.activation, .linear = true});
    x = record.conv(h, name + ".mlp.fc2", {.out = width, .residual = x, .linear = true});
  }
  plan.make_external(x, PortKind::last);

  PickToken pick;
  pick.x = x;
  pick.index = first;
  pick.y = plan.temporary({batch, 1, 1, width});
  plan.add(pick);
  const Tensor pooled = record.layer_norm(pick.y, model + "post_layernorm", config.epsilon);
  plan.make_external(record.conv(pooled, "visual_projection",
                                 {.out = config.projection, .bias = false, .linear = true}),
                     PortKind::embeds);
  plan.finish();
  return plan;
}

}  // namespace deepcache
