#include "clip_text.h"

#include <algorithm>

#include "bounds.h"
#include "config.h"
#include "recorder.h"

namespace deepcache {

ClipTextConfig ClipTextConfig::parse(const std::string& json, bool projected) {
  const ConfigReader whole(json, "text encoder config");
  whole.only("model_type", {"clip_text_model", "clip"});
  // That of a whole CLIP model has one for each encoder inside.
  const ConfigReader in = whole.section_or_this("text_config");
  in.only("hidden_act", {"quick_gelu", "gelu"});
  ClipTextConfig out;
  out.width = in.integer("hidden_size", 512);
  out.mlp_width = in.integer("intermediate_size", 2048);
  out.layers = in.integer("num_hidden_layers", 12);
  out.heads = in.integer("num_attention_heads", 8);
  out.positions = in.integer("max_position_embeddings", 77);
  out.vocabulary = in.integer("vocab_size", 49408);
  // Files of whole models leave out what is usual, which 2 has not been since transformers 4.24.
  constexpr int kUsualEnd = 49407;
  out.eos_token = in.integer("eos_token_id", out.vocabulary > kUsualEnd ? kUsualEnd : 2, 0);
  out.epsilon = float(in.number("layer_norm_eps", 1e-5));
  out.activation =
      in.string("hidden_act", "quick_gelu") == "gelu" ? Activation::gelu : Activation::quick_gelu;
  if (projected)
    out.projection = whole.integer("projection_dim", in.integer("projection_dim", 512));
  validate(out);
  return out;
}

Plan plan_clip_text(const ClipTextConfig& config, int batch, int length, int skip, int added) {
  Plan plan;
  Recorder record(plan);
  const int width = config.width;
  const auto table = [&](const std::string& name, int rows) {
    return plan.weight({Recipe::table, {"text_model.embeddings." + name + ".weight"}, rows, width});
  };
  Embedding embed;
  embed.ids = plan.external(PortKind::ids, {batch, 1, length, 1}, Type::i32);
  embed.y = plan.temporary({batch, 1, length, width});
  embed.table = table("token_embedding", config.vocabulary);
  embed.positions = table("position_embedding", config.positions);
  if (added > 0) embed.added = plan.external(PortKind::added_rows, {added, 1, 1, width});
  plan.add(embed);

  Tensor x = embed.y, skipped;
  for (int layer = 0;; ++layer) {
    plan.make_external(x, {PortKind::hidden, layer});
    if (layer == config.layers - skip) skipped = x;
    if (layer == config.layers) break;
    const std::string name = "text_model.encoder.layers." + std::to_string(layer);
    const std::string self = name + ".self_attn";
    Tensor h = record.layer_norm(x, name + ".layer_norm1", config.epsilon);
    const Tensor qkv = record.linears(h, {self + ".q_proj", self + ".k_proj", self + ".v_proj"},
                                      {width, width, width}, true);
    h = record.attention(qkv, 0, qkv, width, qkv, 2 * width, config.heads, width / config.heads,
                         true);
    x = record.conv(h, self + ".out_proj", {.out = width, .residual = x, .linear = true});
    h = record.layer_norm(x, name + ".layer_norm2", config.epsilon);
    h = record.conv(h, name + ".mlp.fc1",
                    {.out = config.mlp_width, .activation = config.activation, .linear = true});
    x = record.conv(h, name + ".mlp.fc2", {.out = width, .residual = x, .linear = true});
  }

  const std::string final_norm = "text_model.final_layer_norm";
  const Tensor last = record.layer_norm(x, final_norm, config.epsilon);
  if (skip == 0) {
    plan.make_external(last, PortKind::last);
  } else {
    plan.make_external(record.layer_norm(skipped, final_norm, config.epsilon), PortKind::last);
  }
  PickToken pick;
  pick.x = last;
  pick.index = plan.external(PortKind::pooled_index, {batch, 1, 1, 1}, Type::i32);
  pick.y = plan.temporary({batch, 1, 1, width});
  plan.add(pick);
  Tensor pooled = pick.y;
  if (config.projection)
    pooled = record.conv(pooled, "text_projection",
                         {.out = config.projection, .bias = false, .linear = true});
  plan.make_external(pooled, PortKind::pooled);
  plan.finish();
  return plan;
}

int pooled_index(const ClipTextConfig& config, const int32_t* ids, int length) {
  const int32_t* end = ids + length;
  // transformers: models saved with eos_token_id 2 (a wrong value that stayed) pool at the largest
  // id, the end token's; others at the first end token.
  if (config.eos_token == 2) return int(std::max_element(ids, end) - ids);
  const int32_t* found = std::find(ids, end, config.eos_token);
  return found == end ? 0 : int(found - ids);
}

}  // namespace deepcache
