#include <cmath>
#include <numbers>

#include "op_cases.h"

namespace deepcache::test {
namespace {

OpCase timestep_case(const std::string& name, Shape x, Shape y, int dim, bool flip, float shift,
                     bool fourier = false) {
  // fp32 angles of up to 1000 radians.
  return {"timestep_embedding_" + name,
          [=](OpBuilder& b) {
            TimestepEmbedding op;
            op.x = fourier ? b.input(x, 60, 60) : b.input(x, 500, 500);
            op.y = b.output(y);
            op.dim = dim;
            op.flip_sin_to_cos = flip;
            op.freq_shift = shift;
            if (fourier) op.frequencies = b.vector(dim / 2);
            return Op(op);
          },
          1e-4};
}

}  // namespace

void reference(const TimestepEmbedding& op, ReferenceState& state) {
  const auto& x = state.get(op.x);
  auto& out = state.output(op.y);
  const int half = op.dim / 2;
  const auto& frequencies = state.parameter(op.frequencies);
  for (size_t i = 0; i < x.size(); i++)
    for (int j = 0; j < half; j++) {
      const double angle =
          frequencies.empty()
              ? x[i] * std::exp(-std::log(10000.0) * j / (half - double(op.freq_shift)))
              : 2 * std::numbers::pi * x[i] * frequencies[j];
      out[i * op.dim + j] = op.flip_sin_to_cos ? std::cos(angle) : std::sin(angle);
      out[i * op.dim + half + j] = op.flip_sin_to_cos ? std::sin(angle) : std::cos(angle);
    }
}

std::vector<OpCase> timestep_embedding_cases() {
  return {
      timestep_case("sd", {3, 1, 1, 1}, {3, 1, 1, 320}, 320, true, 0),
      timestep_case("shifted", {3, 1, 1, 1}, {3, 1, 1, 32}, 32, false, 1),
      timestep_case("odd", {2, 1, 1, 1}, {2, 1, 1, 9}, 9, true, 0),
      timestep_case("fourier", {3, 1, 1, 1}, {3, 1, 1, 24}, 24, true, 0, true),
      timestep_case("side_by_side", {2, 1, 6, 1}, {2, 1, 1, 6 * 16}, 16, true, 0),
  };
}

}  // namespace deepcache::test
