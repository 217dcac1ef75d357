#pragma once

// CLIP text encoders (transformers' CLIPTextModel and CLIPTextModelWithProjection) as plans.

#include <string>

#include "../runtime/plan.h"

namespace deepcache {

struct ClipTextConfig {
  int width = 768;         // hidden_size
  int mlp_width = 3072;    // intermediate_size
  int layers = 12;         // num_hidden_layers
  int heads = 12;          // num_attention_heads
  int positions = 77;      // max_position_embeddings
  int vocabulary = 49408;  // vocab_size
  int projection = 0;      // projection_dim; 0: no text_projection
  int eos_token = 2;       // eos_token_id; 2: the pooled token is the first largest id
  float epsilon = 1e-5f;   // layer_norm_eps
  Activation activation = Activation::quick_gelu;

  // `projected`: the weights hold a text_projection.
  static ClipTextConfig parse(const std::string& json, bool projected);
};

// Ports: ids i32 [n, 1, length, 1], pooled_index i32 [n, 1, 1, 1] -> hidden.<i>
// [n, 1, length, width] for i = 0 (embeddings) .. layers, all before the final layer norm;
// last: the final layer norm of hidden.<layers - skip>; pooled [n, 1, 1, width or projection].
// With `added` rows, tokens behind the vocabulary: added_rows f32 [added, 1, 1, width] too.
Plan plan_clip_text(const ClipTextConfig& config, int batch, int length, int skip, int added = 0);

// The place of the token whose state is the pooled output.
int pooled_index(const ClipTextConfig& config, const int32_t* ids, int length);

}  // namespace deepcache
