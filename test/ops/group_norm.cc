#include <cmath>

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

}  // namespace

void reference(const GroupNorm& op, ReferenceState& state) {
  const auto &gamma = state.parameter(op.gamma), &beta = state.parameter(op.beta);
  const Shape& y = op.y.shape;
  const size_t rows = y.rows() / y.n;
  const int width = y.c / op.groups;
  std::vector<double> joined = state.join(op.x, op.x2);
  auto& out = state.output(op.y);
  for (int n = 0; n < y.n; n++) {
    for (int g = 0; g < op.groups; g++) {
      const auto each = [&](const auto& body) {
        for (size_t r = 0; r < rows; r++)
          for (int c = g * width; c < (g + 1) * width; c++) body((n * rows + r) * y.c + c, c);
      };
      const double count = double(rows) * width;
      double mean = 0, variance = 0;
      each([&](size_t i, int) { mean += joined[i] / count; });
      each([&](size_t i, int) { variance += (joined[i] - mean) * (joined[i] - mean) / count; });
      each([&](size_t i, int c) {
        const double v = (joined[i] - mean) / std::sqrt(variance + double(op.epsilon));
        const double w = v * (gamma.empty() ? 1 : gamma[c]) + (beta.empty() ? 0 : beta[c]);
        out[i] = op.silu ? activate(Activation::silu, w) : w;
      });
    }
  }
}

std::vector<OpCase> group_norm_cases() {
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
      norm_case("kept_beside_its_sums", {1, 48, 43, 8}, 0, 1, true),  // above 48 KiB together
      norm_case("group_over_the_seam", {1, 24, 17, 40}, 56, 8, true),
  };
}

}  // namespace deepcache::test
