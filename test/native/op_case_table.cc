#include "op_cases.h"

namespace deepcache::test {
namespace {

OpCase norm_case(const std::string& name, Shape x, int c2, int groups, bool silu,
                 double offset = 0) {
  return {"group_norm_" + name,
          [=](OpBuilder& b) {
            GroupNorm op;
            op.x = b.input(x, 1, offset);
            if (c2) op.x2 = b.input({x.n, x.h, x.w, c2}, 2, 0.3);
            op.y = b.output({x.n, x.h, x.w, x.c + c2});
            op.gamma = b.vector(x.c + c2);
            op.beta = b.vector(x.c + c2);
            op.groups = groups;
            op.epsilon = 1e-6f;
            op.silu = silu;
            return Op(op);
          },
          offset == 0 ? 1e-6 : 1e-7 * offset};
}

OpCase layer_norm_case(const std::string& name, Shape x, bool affine, double offset = 0) {
  return {"layer_norm_" + name,
          [=](OpBuilder& b) {
            LayerNorm op;
            op.x = b.input(x, 1, offset);
            op.y = b.output(x);
            if (affine) {
              op.gamma = b.vector(x.c);
              op.beta = b.vector(x.c);
            }
            return Op(op);
          },
          offset == 0 ? 1e-6 : 1e-7 * offset};
}

OpCase resample_case(const std::string& name, Shape x, int height, int width) {
  return {"resample_" + name, [=](OpBuilder& b) {
            Resample op;
            op.x = b.input(x);
            op.y = b.output({x.n, height, width, x.c});
            return Op(op);
          }};
}

OpCase nearest_code_case(const std::string& name, Shape x, int codes) {
  return {"nearest_code_" + name, [=](OpBuilder& b) {
            NearestCode op;
            op.x = b.input(x);
            op.y = b.output(x);
            op.table = b.weight(Recipe::table, codes, x.c);
            return Op(op);
          }};
}

// Ordinary self attention over a fused product, or cross attention when keys is not the length.
OpCase attention_case(const std::string& name, int n, int length, int keys, int heads, int width,
                      bool causal = false, double scale = 1) {
  return {"attention_" + name,
          [=](OpBuilder& b) {
            Attention op;
            const int c = heads * width;
            op.q = b.input({n, 1, length, 3 * c}, scale);
            op.y = b.output({n, 1, length, c});
            op.q_offset = c;
            if (keys == length) {
              op.k = op.v = op.q;
              op.k_offset = 0;
              op.v_offset = 2 * c;
            } else {
              op.k = b.input({n, 1, keys, c}, scale);
              op.v = b.input({n, 1, keys, c + 5});
              op.v_offset = 5;
            }
            op.heads = heads;
            op.head_width = width;
            op.scale = 0.3f;
            op.causal = causal;
            op.outer = n;
            op.query = {length, 1, length, 0};
            op.key = {keys, 1, keys, 0};
            return Op(op);
          },
          scale == 1 ? 2e-6 : 5e-6};  // larger scores have larger rounding errors
}

Op temporal_attention(OpBuilder& b) {
  // Frames of each pixel attend to each other: 2 videos of 5 frames with 6 pixels.
  Attention op;
  op.q = op.k = op.v = b.input({10, 1, 6, 3 * 16});
  op.y = b.output({10, 1, 6, 16});
  op.k_offset = 16;
  op.v_offset = 32;
  op.heads = 2;
  op.head_width = 8;
  op.scale = 0.35f;
  op.outer = 2;
  op.inner = 6;
  op.query = op.key = {5, 6, 30, 1};
  return Op(op);
}

Op cross_frame_attention(OpBuilder& b) {
  // All frames read the keys of the first one.
  Attention op;
  op.q = b.input({4, 1, 9, 16});
  op.k = op.v = b.input({4, 1, 9, 32});
  op.y = b.output({4, 1, 9, 16});
  op.v_offset = 16;
  op.heads = 1;
  op.head_width = 16;
  op.scale = 0.25f;
  op.outer = 4;
  op.query = {9, 1, 9, 0};
  op.key = {9, 1, 0, 0};
  return Op(op);
}

// Videos of 3 frames: all frames of a video read keys of its own, `shared` of its first frame.
OpCase video_attention(const std::string& name, int length, int keys, int heads, int width,
                       bool shared) {
  return {"attention_" + name, [=](OpBuilder& b) {
            Attention op;
            const int c = heads * width, videos = 2, frames = 3;
            op.q = b.input({videos * frames, 1, length, c});
            op.k = op.v = b.input({videos * (shared ? frames : 1), 1, keys, 2 * c});
            op.y = b.output({videos * frames, 1, length, c});
            op.v_offset = c;
            op.heads = heads;
            op.head_width = width;
            op.scale = 0.3f;
            op.outer = videos;
            op.inner = frames;
            op.query = {length, 1, frames * length, length};
            op.key = {keys, 1, shared ? frames * keys : keys, 0};
            return Op(op);
          }};
}

OpCase elementwise_case(const std::string& name, Activation activation, int rows2, double size = 1,
                        int repeat = 1) {
  return {"elementwise_" + name, [=](OpBuilder& b) {
            Elementwise op;
            op.x = b.input({4, 1, 33, 37}, size);
            if (rows2) op.x2 = b.input({1, 1, rows2, 37}, size);
            op.y = b.output({4, 1, 33, 37});
            op.a = 0.8f;
            op.b = -1.25f;
            op.repeat = repeat;
            op.activation = activation;
            return Op(op);
          }};
}

OpCase timestep_case(const std::string& name, Shape x, Shape y, int dim, bool flip, float shift) {
  // fp32 angles of up to 1000 radians.
  return {"timestep_embedding_" + name,
          [=](OpBuilder& b) {
            TimestepEmbedding op;
            op.x = b.input(x, 500, 500);
            op.y = b.output(y);
            op.dim = dim;
            op.flip_sin_to_cos = flip;
            op.freq_shift = shift;
            return Op(op);
          },
          1e-4};
}

std::vector<OpCase> others() {
  return {
      norm_case("plain", {2, 7, 9, 64}, 0, 32, false),
      norm_case("silu", {2, 16, 16, 320}, 0, 32, true),
      norm_case("two_inputs", {2, 5, 9, 40}, 56, 32, true),
      norm_case("odd", {3, 5, 5, 21}, 0, 3, true),
      norm_case("one_group", {1, 8, 8, 48}, 0, 1, false),
      norm_case("one_pixel", {2, 1, 1, 64}, 0, 8, false),
      norm_case("many_rows", {1, 64, 65, 32}, 0, 32, true),
      norm_case("far_from_zero", {1, 33, 31, 64}, 0, 32, false, 100),
      norm_case("wide_group", {1, 9, 8, 640}, 0, 1, true),
      norm_case("few_groups", {1, 32, 32, 16}, 0, 2, true),
      norm_case("few_channels", {2, 40, 41, 8}, 0, 1, true),
      norm_case("group_over_the_seam", {1, 24, 17, 40}, 56, 8, true),
      layer_norm_case("plain", {2, 1, 77, 320}, true),
      layer_norm_case("odd", {1, 1, 13, 37}, true),
      layer_norm_case("tiny", {1, 1, 3, 5}, false),
      layer_norm_case("far_from_zero", {1, 1, 40, 768}, true, 100),
      attention_case("heads_of_40", 2, 70, 70, 3, 40),
      attention_case("heads_of_64", 1, 300, 300, 2, 64),
      attention_case("wide", 1, 90, 90, 1, 160),
      attention_case("vae", 1, 150, 150, 1, 512),
      attention_case("cross", 2, 130, 77, 2, 40),
      attention_case("cross_64", 2, 70, 77, 3, 64),
      attention_case("cross_80", 1, 150, 80, 2, 80),
      attention_case("cross_160", 1, 90, 81, 2, 160),
      attention_case("cross_few", 1, 200, 5, 2, 160),
      attention_case("causal", 2, 77, 77, 3, 64, true),
      attention_case("causal_long", 1, 301, 301, 2, 16, true),
      attention_case("one_query", 1, 1, 9, 2, 8),
      attention_case("one_token", 3, 1, 1, 2, 8),
      attention_case("narrow", 2, 40, 40, 4, 3),
      attention_case("many_blocks", 1, 700, 700, 1, 24),
      attention_case("sharp", 1, 200, 200, 1, 32, false, 12),
      attention_case("heads_of_80", 2, 200, 200, 3, 80),
      attention_case("heads_of_128", 1, 140, 140, 2, 128),
      attention_case("heads_of_160", 1, 300, 300, 2, 160),
      attention_case("long", 1, 600, 600, 1, 40),
      video_attention("first_frame", 70, 70, 2, 24, true),
      video_attention("text_of_video", 130, 77, 2, 40, false),
      {"attention_temporal", temporal_attention},
      {"attention_cross_frame", cross_frame_attention},
      elementwise_case("scale", Activation::none, 0),
      elementwise_case("sum", Activation::none, 4 * 33),
      elementwise_case("repeated", Activation::silu, 33),
      elementwise_case("spread", Activation::none, 6, 1, 11),
      elementwise_case("spread_once", Activation::none, 12, 1, 11),
      elementwise_case("silu", Activation::silu, 0, 30),
      elementwise_case("gelu", Activation::gelu, 0, 8),
      elementwise_case("quick_gelu", Activation::quick_gelu, 1, 100),
      {"embedding",
       [](OpBuilder& b) {
         Embedding op;
         op.ids = b.ids({2, 1, 9, 1}, 50);
         op.y = b.output({2, 1, 9, 33});
         op.table = b.weight(Recipe::table, 50, 33);
         op.positions = b.weight(Recipe::table, 11, 33);
         return Op(op);
       }},
      {"embedding_without_positions",
       [](OpBuilder& b) {
         Embedding op;
         op.ids = b.ids({1, 1, 5, 1}, 7);
         op.y = b.output({1, 1, 5, 8});
         op.table = b.weight(Recipe::table, 7, 8);
         return Op(op);
       }},
      {"embedding_of_a_vector",  // CLIP's class token
       [](OpBuilder& b) {
         Embedding op;
         op.ids = b.ids({2, 1, 1, 1}, 1);
         op.y = b.output({2, 1, 1, 24});
         op.table = b.vector(24);
         return Op(op);
       }},
      timestep_case("sd", {3, 1, 1, 1}, {3, 1, 1, 320}, 320, true, 0),
      timestep_case("shifted", {3, 1, 1, 1}, {3, 1, 1, 32}, 32, false, 1),
      timestep_case("odd", {2, 1, 1, 1}, {2, 1, 1, 9}, 9, true, 0),
      timestep_case("side_by_side", {2, 1, 6, 1}, {2, 1, 1, 6 * 16}, 16, true, 0),
      {"pick_token",
       [](OpBuilder& b) {
         PickToken op;
         op.x = b.input({3, 1, 10, 20});
         op.index = b.ids({3, 1, 1, 1}, 10);
         op.y = b.output({3, 1, 1, 20});
         return Op(op);
       }},
      {"concat",
       [](OpBuilder& b) {
         Concat op;
         op.x = b.input({2, 1, 50, 33});
         op.x2 = b.input({2, 1, 50, 7});
         op.y = b.output({2, 1, 50, 40});
         return Op(op);
       }},
      resample_case("mean", {2, 6, 10, 7}, 3, 5),
      resample_case("mean_of_odd", {1, 5, 3, 33}, 2, 1),
      resample_case("repeat", {2, 3, 5, 9}, 6, 10),
      nearest_code_case("vq", {2, 9, 7, 3}, 50),
      nearest_code_case("many", {1, 1, 40, 4}, 4000),
      nearest_code_case("single", {1, 2, 2, 5}, 1),
  };
}

}  // namespace

const std::vector<OpCase>& op_cases() {
  static const std::vector<OpCase> cases = [] {
    std::vector<OpCase> all = conv_cases();
    for (const OpCase& other : others()) all.push_back(other);
    return all;
  }();
  return cases;
}

}  // namespace deepcache::test
