#include "op_cases.h"

namespace deepcache::test {
namespace {

struct ConvOptions {
  Shape x, y;
  int c2 = 0, kernel = 1, stride = 1, pad = 0;
  bool bias = true, residual = false, upsample = false;
  int row_samples = 0, row_offset = 0;
  Recipe recipe = Recipe::matrix;
  Activation activation = Activation::none;
  float scale = 1, residual_scale = 1;
  std::vector<int> parts = {};
  Type type = Type::f32;
};

OpCase conv_case(const std::string& name, const ConvOptions& o) {
  return {"conv_" + name, [o](OpBuilder& b) {
            Conv op;
            op.x = b.input(o.x);
            if (o.c2) op.x2 = b.input({o.x.n, o.x.h, o.x.w, o.c2});
            op.y = b.output(o.y);
            const int outputs = o.activation == Activation::geglu ? 2 * o.y.c : o.y.c;
            op.weight =
                b.weight(o.recipe, outputs, o.x.c + o.c2, o.kernel, o.kernel, o.parts, o.type);
            if (o.bias) op.bias = b.vector(outputs);
            op.kernel_h = op.kernel_w = o.kernel;
            op.stride = o.stride;
            op.pad_top = op.pad_left = o.pad;
            op.upsample = o.upsample;
            op.activation = o.activation;
            op.scale = o.scale;
            op.residual_scale = o.residual_scale;
            if (o.residual) op.residual = b.input(o.y);
            if (o.row_samples) op.row = b.input({o.row_samples, 1, 1, o.row_offset + o.y.c + 3});
            op.row_offset = o.row_offset;
            return Op(op);
          }};
}

std::vector<OpCase> convs() {
  std::vector<OpCase> cases = {
      conv_case("linear", {.x = {2, 1, 77, 96}, .y = {2, 1, 77, 40}}),
      conv_case("linear_one_row",
                {.x = {1, 1, 1, 320}, .y = {1, 1, 1, 1280}, .activation = Activation::silu}),
      conv_case("linear_tiny", {.x = {1, 1, 3, 1}, .y = {1, 1, 3, 1}, .bias = false}),
      conv_case("linear_long_k", {.x = {1, 1, 5, 2900}, .y = {1, 1, 5, 70}}),
      conv_case("linear_many_rows", {.x = {3, 1, 555, 33}, .y = {3, 1, 555, 65}, .residual = true}),
      conv_case("linear_wide", {.x = {1, 1, 9, 64}, .y = {1, 1, 9, 1500}}),
      conv_case("linear_fused",
                {.x = {2, 1, 20, 48}, .y = {2, 1, 20, 144}, .bias = false, .parts = {48, 48, 48}}),
      conv_case("linear_odd_parts",
                {.x = {2, 1, 20, 48}, .y = {2, 1, 20, 120}, .parts = {7, 100, 13}}),
      conv_case("linear_bf16", {.x = {2, 1, 20, 48}, .y = {2, 1, 20, 50}, .type = Type::bf16}),
      conv_case("geglu", {.x = {2, 1, 33, 40},
                          .y = {2, 1, 33, 160},
                          .recipe = Recipe::geglu,
                          .activation = Activation::geglu}),
      conv_case("geglu_odd", {.x = {1, 1, 19, 24},
                              .y = {1, 1, 19, 37},
                              .recipe = Recipe::geglu,
                              .activation = Activation::geglu,
                              .scale = 0.5f}),
      conv_case("1x1_as_rows", {.x = {2, 5, 7, 24}, .y = {2, 1, 35, 16}}),
      conv_case("1x1_from_rows", {.x = {2, 1, 35, 24}, .y = {2, 5, 7, 16}, .residual = true}),
      conv_case("1x1_stride", {.x = {1, 7, 9, 8}, .y = {1, 4, 5, 12}, .stride = 2}),
      conv_case("3x3", {.x = {2, 9, 11, 32}, .y = {2, 9, 11, 48}, .kernel = 3, .pad = 1}),
      conv_case("3x3_few_channels",
                {.x = {2, 16, 16, 4}, .y = {2, 16, 16, 320}, .kernel = 3, .pad = 1}),
      conv_case("3x3_to_few", {.x = {1, 12, 10, 64}, .y = {1, 12, 10, 4}, .kernel = 3, .pad = 1}),
      conv_case("3x3_one_pixel", {.x = {1, 1, 1, 20}, .y = {1, 1, 1, 20}, .kernel = 3, .pad = 1}),
      conv_case("3x3_stride",
                {.x = {1, 9, 8, 20}, .y = {1, 5, 4, 24}, .kernel = 3, .stride = 2, .pad = 1}),
      // The VAE's downsampler pads at the bottom and right only.
      conv_case("3x3_stride_unpadded",
                {.x = {1, 8, 9, 20}, .y = {1, 4, 4, 24}, .kernel = 3, .stride = 2}),
      conv_case("3x3_two_inputs", {.x = {1, 8, 9, 40},
                                   .y = {1, 8, 9, 24},
                                   .c2 = 24,
                                   .kernel = 3,
                                   .pad = 1,
                                   .residual = true}),
      conv_case("3x3_two_odd_inputs",
                {.x = {2, 5, 4, 37}, .y = {2, 5, 4, 9}, .c2 = 301, .kernel = 3, .pad = 1}),
      conv_case("1x1_two_inputs", {.x = {2, 6, 5, 30}, .y = {2, 6, 5, 20}, .c2 = 50}),
      conv_case("3x3_everything", {.x = {2, 6, 5, 30},
                                   .y = {2, 6, 5, 45},
                                   .c2 = 10,
                                   .kernel = 3,
                                   .pad = 1,
                                   .residual = true,
                                   .row_samples = 2,
                                   .row_offset = 5,
                                   .activation = Activation::silu,
                                   .scale = 0.7f,
                                   .residual_scale = 1.3f}),
      conv_case("3x3_shared_row", {.x = {3, 6, 5, 16},
                                   .y = {3, 6, 5, 45},
                                   .kernel = 3,
                                   .pad = 1,
                                   .row_samples = 1,
                                   .row_offset = 2}),
      conv_case("5x5", {.x = {1, 7, 8, 12}, .y = {1, 7, 8, 12}, .kernel = 5, .pad = 2}),
      conv_case("patches", {.x = {1, 16, 16, 3}, .y = {1, 2, 2, 40}, .kernel = 8, .stride = 8}),
      conv_case("gelu", {.x = {1, 1, 70, 40}, .y = {1, 1, 70, 90}, .activation = Activation::gelu}),
      conv_case("quick_gelu",
                {.x = {1, 1, 70, 40}, .y = {1, 1, 70, 90}, .activation = Activation::quick_gelu}),
  };
  for (const Recipe recipe : {Recipe::matrix, Recipe::upsample})
    for (const auto& [h, w] : {std::pair{8, 10}, {7, 10}, {8, 9}, {7, 9}, {1, 1}, {1, 2}}) {
      const int in_h = (h + 1) / 2, in_w = (w + 1) / 2;
      cases.push_back(
          conv_case(std::string(recipe == Recipe::matrix ? "upsample_plain_" : "upsample_") +
                        std::to_string(h) + "x" + std::to_string(w),
                    {.x = {2, in_h, in_w, 40},
                     .y = {2, h, w, 36},
                     .kernel = 3,
                     .pad = 1,
                     .residual = true,
                     .upsample = true,
                     .recipe = recipe}));
    }
  return cases;
}

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

OpCase elementwise_case(const std::string& name, Activation activation, int rows2,
                        double size = 1) {
  return {"elementwise_" + name, [=](OpBuilder& b) {
            Elementwise op;
            op.x = b.input({4, 1, 33, 37}, size);
            if (rows2) op.x2 = b.input({1, 1, rows2, 37}, size);
            op.y = b.output({4, 1, 33, 37});
            op.a = 0.8f;
            op.b = -1.25f;
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
      layer_norm_case("plain", {2, 1, 77, 320}, true),
      layer_norm_case("odd", {1, 1, 13, 37}, true),
      layer_norm_case("tiny", {1, 1, 3, 5}, false),
      layer_norm_case("far_from_zero", {1, 1, 40, 768}, true, 100),
      attention_case("heads_of_40", 2, 70, 70, 3, 40),
      attention_case("heads_of_64", 1, 300, 300, 2, 64),
      attention_case("wide", 1, 90, 90, 1, 160),
      attention_case("vae", 1, 150, 150, 1, 512),
      attention_case("cross", 2, 130, 77, 2, 40),
      attention_case("causal", 2, 77, 77, 3, 64, true),
      attention_case("causal_long", 1, 301, 301, 2, 16, true),
      attention_case("one_query", 1, 1, 9, 2, 8),
      attention_case("one_token", 3, 1, 1, 2, 8),
      attention_case("narrow", 2, 40, 40, 4, 3),
      attention_case("many_blocks", 1, 700, 700, 1, 24),
      attention_case("sharp", 1, 200, 200, 1, 32, false, 12),
      {"attention_temporal", temporal_attention},
      {"attention_cross_frame", cross_frame_attention},
      elementwise_case("scale", Activation::none, 0),
      elementwise_case("sum", Activation::none, 4 * 33),
      elementwise_case("repeated", Activation::silu, 33),
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
  };
}

}  // namespace

const std::vector<OpCase>& op_cases() {
  static const std::vector<OpCase> cases = [] {
    std::vector<OpCase> all = convs();
    for (const OpCase& other : others()) all.push_back(other);
    return all;
  }();
  return cases;
}

}  // namespace deepcache::test
