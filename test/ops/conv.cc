#include <algorithm>

#include "e4m3.h"
#include "folds.h"
#include "op_cases.h"

namespace deepcache::test {
namespace {

struct ConvOptions {
  Shape x, y;
  int c2 = 0, kernel = 1, stride = 1, pad = 0;
  bool column = false;  // kernel x 1
  bool bias = true, residual = false, upsample = false;
  int row_samples = 0, row_offset = 0;
  Recipe recipe = Recipe::matrix;
  Activation activation = Activation::none;
  float scale = 1, residual_scale = 1;
  std::vector<int> parts = {};
  Type type = Type::f32;
  bool fp8 = false;
};

OpCase conv_case(const std::string& name, const ConvOptions& o) {
  return {"conv_" + name, [o](OpBuilder& b) {
            Conv op;
            op.x = o.fp8 ? b.short_input(o.x) : b.input(o.x);
            if (o.c2) op.x2 = b.input({o.x.n, o.x.h, o.x.w, o.c2});
            op.y = b.output(o.y);
            const int outputs = o.activation == Activation::geglu ? 2 * o.y.c : o.y.c;
            op.weight = b.weight(o.recipe, outputs, o.x.c + o.c2, o.kernel, o.column ? 1 : o.kernel,
                                 o.parts, o.type, o.fp8);
            if (o.bias) op.bias = b.vector(outputs);
            op.kernel_h = o.kernel;
            op.kernel_w = o.column ? 1 : o.kernel;
            op.stride = o.stride;
            op.pad_top = o.pad;
            op.pad_left = o.column ? 0 : o.pad;
            op.upsample = o.upsample;
            op.activation = o.activation;
            op.scale = o.scale;
            op.residual_scale = o.residual_scale;
            if (o.residual) op.residual = b.input(o.y);
            if (o.row_samples) op.row = b.input({o.row_samples, 1, 1, o.row_offset + o.y.c + 4});
            op.row_offset = o.row_offset;
            return Op(op);
          }};
}

// A resnet's end: the residual is a 1x1 convolution of two inputs, which a backend may add to the
// sums of the 3x3 one. `seen`: another op reads it too.
OpCase shortcut_case(const std::string& name, Shape x, int c1, int c2, int out, bool seen = false) {
  return {"conv_shortcut_" + name, [=](OpBuilder& b) {
            const Shape y{x.n, x.h, x.w, out};
            Conv shortcut;
            shortcut.x = b.input({x.n, x.h, x.w, c1});
            if (c2) shortcut.x2 = b.input({x.n, x.h, x.w, c2});
            shortcut.y = b.plan.temporary(y);
            shortcut.weight = b.weight(Recipe::matrix, out, c1 + c2);
            shortcut.bias = b.vector(out);
            b.plan.add(shortcut);
            Conv op;
            op.x = b.input(x);
            op.residual = shortcut.y;
            op.weight = b.weight(Recipe::matrix, out, x.c, 3, 3);
            op.bias = b.vector(out);
            op.kernel_h = op.kernel_w = 3;
            op.pad_top = op.pad_left = 1;
            op.scale = op.residual_scale = 0.75f;
            if (!seen) {
              op.y = b.output(y);
              return Op(op);
            }
            op.y = b.plan.temporary(y);
            b.plan.add(op);
            Elementwise sum;
            sum.x = op.y;
            sum.x2 = shortcut.y;
            sum.y = b.output(y);
            return Op(sum);
          }};
}

// docs/fp8.md: weights by row, inputs by row or by sample.
void round_operands(const Conv& op, std::vector<double>& x, std::vector<double>& weight) {
  const Shape& shape = op.x.shape;
  const size_t k = size_t(shape.c) * op.kernel_h * op.kernel_w;
  for (size_t at = 0; at < weight.size(); at += k) round_to_e4m3(weight, at, k);
  const size_t part = op.kernel_h * op.kernel_w == 1 ? size_t(shape.c) : x.size() / shape.n;
  for (size_t at = 0; at < x.size(); at += part) round_to_e4m3(x, at, part);
}

}  // namespace

void reference(const Conv& op, ReferenceState& state) {
  const Shape &x = op.x.shape, &y = op.y.shape;
  const auto &in2 = state.get(op.x2), &row = state.get(op.row), &residual = state.get(op.residual),
             &bias = state.parameter(op.bias);
  std::vector<double> in = state.get(op.x), weight = state.parameter(op.weight);
  if (state.fp8.count(op.weight)) round_operands(op, in, weight);
  const bool geglu = op.activation == Activation::geglu;
  const int c2 = op.x2 ? op.x2.shape.c : 0, inputs = x.c + c2;
  const int outputs = geglu ? 2 * y.c : y.c, taps = op.kernel_h * op.kernel_w;
  const bool rows_only = taps == 1 && op.stride == 1 && !op.upsample;
  const int height = op.upsample ? std::min(2 * x.h, y.h) : x.h;
  const int width = op.upsample ? std::min(2 * x.w, y.w) : x.w;
  auto& out = state.output(op.y);
  std::vector<double> sums(outputs);
  for (size_t pixel = 0; pixel < y.rows(); pixel++) {
    const int n = int(pixel / (size_t(y.h) * y.w));
    const int i = int(pixel / y.w) % y.h, j = int(pixel % y.w);
    for (int o = 0; o < outputs; o++) sums[o] = bias.empty() ? 0 : bias[o];
    for (int t = 0; t < taps; t++) {
      size_t source = pixel;
      if (!rows_only) {
        const int sy = i * op.stride - op.pad_top + t / op.kernel_w;
        const int sx = j * op.stride - op.pad_left + t % op.kernel_w;
        if (sy < 0 || sx < 0 || sy >= height || sx >= width) continue;
        source =
            (size_t(n) * x.h + (op.upsample ? sy / 2 : sy)) * x.w + (op.upsample ? sx / 2 : sx);
      }
      for (int o = 0; o < outputs; o++)
        for (int c = 0; c < inputs; c++)
          sums[o] += weight[(size_t(o) * inputs + c) * taps + t] *
                     (c < x.c ? in[source * x.c + c] : in2[source * c2 + c - x.c]);
    }
    for (int o = 0; o < y.c; o++) {
      double v = sums[o];
      if (op.row)
        v += row[size_t(op.row.shape.n == 1 ? 0 : n) * op.row.shape.c + op.row_offset + o];
      v = geglu ? v * activate(Activation::gelu, sums[y.c + o]) : activate(op.activation, v);
      v *= op.scale;
      if (op.residual) v += op.residual_scale * residual[pixel * y.c + o];
      out[pixel * y.c + o] = v;
    }
  }
}

std::vector<OpCase> conv_cases() {
  std::vector<OpCase> cases = {
      conv_case("linear", {.x = {2, 1, 77, 96}, .y = {2, 1, 77, 40}}),
      conv_case("linear_one_row",
                {.x = {1, 1, 1, 320}, .y = {1, 1, 1, 1280}, .activation = Activation::silu}),
      conv_case("linear_tiny", {.x = {1, 1, 3, 1}, .y = {1, 1, 3, 1}, .bias = false}),
      conv_case("linear_long_k", {.x = {1, 1, 5, 2900}, .y = {1, 1, 5, 70}}),
      conv_case("linear_deep", {.x = {1, 1, 300, 1544}, .y = {1, 1, 300, 200}}),
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
      conv_case("narrow", {.x = {2, 12, 19, 320}, .y = {2, 12, 19, 4}, .kernel = 3, .pad = 1}),
      conv_case("narrow_odd", {.x = {2, 9, 8, 88},
                               .y = {2, 9, 8, 3},
                               .kernel = 3,
                               .pad = 1,
                               .residual = true,
                               .row_samples = 2,
                               .row_offset = 3,
                               .activation = Activation::silu,
                               .scale = 0.5f}),
      conv_case("narrow_eight",
                {.x = {1, 5, 3, 40}, .y = {1, 5, 3, 8}, .kernel = 3, .pad = 1, .bias = false}),
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
      conv_case("3x1_over_frames", {.x = {2, 5, 42, 40},
                                    .y = {2, 5, 42, 33},
                                    .kernel = 3,
                                    .pad = 1,
                                    .column = true,
                                    .residual = true,
                                    .row_samples = 2,
                                    .row_offset = 6,
                                    .scale = 0.4f}),
      conv_case("3x1_one_frame",
                {.x = {1, 1, 30, 20}, .y = {1, 1, 30, 20}, .kernel = 3, .pad = 1, .column = true}),
      conv_case("patches", {.x = {1, 16, 16, 3}, .y = {1, 2, 2, 40}, .kernel = 8, .stride = 8}),
      conv_case("gelu", {.x = {1, 1, 70, 40}, .y = {1, 1, 70, 90}, .activation = Activation::gelu}),
      conv_case("quick_gelu",
                {.x = {1, 1, 70, 40}, .y = {1, 1, 70, 90}, .activation = Activation::quick_gelu}),
      // Channels in eights, as the kernels of large GPUs want them: tails of rows and columns, more
      // tiles than one, chunks of k that end with an input.
      conv_case("linear_eights", {.x = {3, 1, 111, 200}, .y = {3, 1, 111, 328}, .residual = true}),
      conv_case("linear_eights_per_sample", {.x = {3, 1, 50, 64},
                                             .y = {3, 1, 50, 40},
                                             .row_samples = 3,
                                             .row_offset = 8,
                                             .activation = Activation::silu}),
      conv_case("linear_long_k_eights", {.x = {1, 1, 77, 2568},
                                         .y = {1, 1, 77, 136},
                                         .residual = true,
                                         .scale = 0.5f,
                                         .residual_scale = 2}),
      // An even number of Hopper's tiles of any size lie below each other: pairs share weights.
      conv_case("linear_pairs", {.x = {1, 1, 500, 840}, .y = {1, 1, 500, 200}, .residual = true}),
      conv_case(
          "3x3_pairs",
          {.x = {2, 16, 15, 72}, .y = {2, 16, 15, 136}, .kernel = 3, .pad = 1, .row_samples = 2}),
      conv_case("geglu_eights", {.x = {1, 1, 300, 72},
                                 .y = {1, 1, 300, 176},
                                 .recipe = Recipe::geglu,
                                 .activation = Activation::geglu}),
      conv_case("gelu_eights",
                {.x = {1, 1, 70, 64}, .y = {1, 1, 70, 96}, .activation = Activation::gelu}),
      conv_case("1x1_two_wide_inputs",
                {.x = {2, 5, 7, 320}, .y = {2, 5, 7, 96}, .c2 = 640, .residual = true}),
      conv_case("3x3_eights", {.x = {3, 11, 13, 40}, .y = {3, 11, 13, 200}, .kernel = 3, .pad = 1}),
      conv_case("3x3_wide_image",
                {.x = {1, 3, 150, 16}, .y = {1, 3, 150, 24}, .kernel = 3, .pad = 1}),
      conv_case("3x3_many_samples",
                {.x = {9, 4, 4, 64}, .y = {9, 4, 4, 64}, .kernel = 3, .pad = 1}),
      conv_case("3x3_two_inputs_eights", {.x = {2, 9, 7, 64},
                                          .y = {2, 9, 7, 168},
                                          .c2 = 136,
                                          .kernel = 3,
                                          .pad = 1,
                                          .residual = true,
                                          .row_samples = 2,
                                          .row_offset = 5,
                                          .scale = 0.7f}),
      conv_case("3x3_stride_eights",
                {.x = {2, 13, 10, 72}, .y = {2, 7, 5, 136}, .kernel = 3, .stride = 2, .pad = 1}),
      conv_case("3x3_stride_unpadded_eights",
                {.x = {1, 12, 15, 64}, .y = {1, 6, 7, 64}, .kernel = 3, .stride = 2}),
      conv_case("upsample_eights", {.x = {2, 5, 7, 72},
                                    .y = {2, 10, 14, 136},
                                    .kernel = 3,
                                    .pad = 1,
                                    .residual = true,
                                    .upsample = true,
                                    .recipe = Recipe::upsample}),
      conv_case("upsample_long_k", {.x = {1, 3, 3, 320},
                                    .y = {1, 6, 6, 64},
                                    .kernel = 3,
                                    .pad = 1,
                                    .upsample = true,
                                    .recipe = Recipe::upsample}),
      // As e4m3 by backends of fp8: one scale a row, one a sample, more than one chunk of k.
      conv_case("fp8_linear",
                {.x = {2, 1, 77, 320}, .y = {2, 1, 77, 136}, .residual = true, .fp8 = true}),
      conv_case("fp8_linear_odd", {.x = {1, 1, 19, 48}, .y = {1, 1, 19, 37}, .fp8 = true}),
      conv_case("fp8_linear_fused", {.x = {2, 1, 20, 48},
                                     .y = {2, 1, 20, 144},
                                     .bias = false,
                                     .parts = {48, 48, 48},
                                     .fp8 = true}),
      conv_case("fp8_geglu", {.x = {1, 1, 150, 80},
                              .y = {1, 1, 150, 176},
                              .recipe = Recipe::geglu,
                              .activation = Activation::geglu,
                              .fp8 = true}),
      conv_case("fp8_1x1_per_sample", {.x = {3, 5, 4, 64},
                                       .y = {3, 5, 4, 40},
                                       .row_samples = 3,
                                       .row_offset = 8,
                                       .activation = Activation::silu,
                                       .fp8 = true}),
      conv_case("fp8_3x3", {.x = {3, 11, 13, 80},
                            .y = {3, 11, 13, 200},
                            .kernel = 3,
                            .pad = 1,
                            .residual = true,
                            .row_samples = 3,
                            .row_offset = 2,
                            .scale = 0.7f,
                            .fp8 = true}),
      conv_case("fp8_3x3_long_k",
                {.x = {2, 4, 4, 640}, .y = {2, 4, 4, 64}, .kernel = 3, .pad = 1, .fp8 = true}),
      conv_case("fp8_3x3_stride", {.x = {2, 13, 10, 64},
                                   .y = {2, 7, 5, 136},
                                   .kernel = 3,
                                   .stride = 2,
                                   .pad = 1,
                                   .fp8 = true}),
      conv_case("fp8_3x1_over_frames", {.x = {2, 5, 42, 48},
                                        .y = {2, 5, 42, 33},
                                        .kernel = 3,
                                        .pad = 1,
                                        .column = true,
                                        .residual = true,
                                        .fp8 = true}),
      shortcut_case("two_inputs", {2, 9, 7, 48}, 64, 40, 72),
      shortcut_case("one_input", {1, 8, 8, 64}, 136, 0, 64),
      shortcut_case("odd", {1, 5, 6, 21}, 13, 9, 11),
      shortcut_case("long_k", {1, 4, 4, 320}, 320, 320, 64),
      shortcut_case("seen", {1, 6, 5, 16}, 24, 0, 16, true),
  };
  std::ranges::copy(fold_cases(), std::back_inserter(cases));
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

}  // namespace deepcache::test
