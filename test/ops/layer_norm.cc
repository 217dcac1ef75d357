#include <cmath>

#include "op_cases.h"

namespace deepcache::test {
namespace {

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

}  // namespace

void reference(const LayerNorm& op, ReferenceState& state) {
  const auto &x = state.get(op.x), &gamma = state.parameter(op.gamma),
             &beta = state.parameter(op.beta);
  const int width = op.x.shape.c;
  auto& out = state.output(op.y);
  for (size_t r = 0; r < op.x.shape.rows(); r++) {
    double mean = 0, variance = 0;
    for (int c = 0; c < width; c++) mean += x[r * width + c] / width;
    for (int c = 0; c < width; c++)
      variance += (x[r * width + c] - mean) * (x[r * width + c] - mean) / width;
    for (int c = 0; c < width; c++)
      out[r * width + c] = (x[r * width + c] - mean) / std::sqrt(variance + double(op.epsilon)) *
                               (gamma.empty() ? 1 : gamma[c]) +
                           (beta.empty() ? 0 : beta[c]);
  }
}

std::vector<OpCase> layer_norm_cases() {
  return {
      layer_norm_case("plain", {2, 1, 77, 320}, true),
      layer_norm_case("odd", {1, 1, 13, 37}, true),
      layer_norm_case("of_3_chunks", {1, 1, 9, 648}, true),
      layer_norm_case("of_5_chunks", {1, 1, 5, 1280}, true),
      layer_norm_case("of_8_chunks", {1, 1, 5, 2040}, true),
      layer_norm_case("of_9_chunks", {1, 1, 5, 2056}, true),
      layer_norm_case("tiny", {1, 1, 3, 5}, false),
      layer_norm_case("far_from_zero", {1, 1, 40, 768}, true, 100),
  };
}

}  // namespace deepcache::test
