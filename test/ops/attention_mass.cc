#include <algorithm>
#include <cmath>

#include "op_cases.h"

namespace deepcache::test {

void reference(const AttentionMass& op, ReferenceState& state) {
  const auto &q = state.get(op.q), &k = state.get(op.k);
  auto& out = state.output(op.y);
  const size_t pixels = op.pixels(), width = size_t(op.head_width), heads = size_t(op.heads);
  std::vector<double> weights(pixels);
  for (size_t n = 0; n < size_t(op.y.shape.n); n++)
    for (size_t head = 0; head < heads; head++)
      for (size_t j = 0; j < pixels; j++) {
        double top = -INFINITY, sum = 0;
        for (size_t i = 0; i < pixels; i++) {
          double dot = 0;
          for (size_t d = 0; d < width; d++)
            dot += q[(n * pixels + j) * op.q.shape.c + op.q_offset + head * width + d] *
                   k[(n * pixels + i) * op.k.shape.c + op.k_offset + head * width + d];
          weights[i] = double(op.scale) * dot;
          top = std::max(top, weights[i]);
        }
        for (double& weight : weights) sum += weight = std::exp(weight - top);
        for (size_t i = 0; i < pixels; i++)
          out[(n * pixels + i) * heads + head] += weights[i] / sum;
      }
}

std::vector<OpCase> attention_mass_cases() {
  struct Size {
    const char* name;
    int samples, more;  // more samples, which are not looked at
    int height, width, heads, head_width;
    bool fused = true;
    double scale = 1;
  };
  std::vector<OpCase> cases;
  for (const Size& size : std::vector<Size>{{"", 2, 0, 5, 7, 3, 40},
                                            {"_tiles", 1, 1, 8, 8, 2, 64},
                                            {"_long", 1, 0, 17, 19, 1, 160},
                                            {"_apart", 2, 1, 3, 11, 4, 3, false},
                                            {"_one_pixel", 3, 0, 1, 1, 2, 8},
                                            {"_sharp", 1, 0, 9, 10, 2, 32, true, 8}})
    cases.push_back(
        {std::string("attention_mass") + size.name,
         [size](OpBuilder& b) {
           AttentionMass op;
           const int c = size.heads * size.head_width, n = size.samples + size.more;
           op.q = b.input({n, size.height, size.width, size.fused ? 3 * c : c + 5}, size.scale);
           op.k = size.fused ? op.q : b.input({n, size.height, size.width, c});
           op.q_offset = size.fused ? 0 : 5;
           op.k_offset = size.fused ? c : 0;
           op.heads = size.heads;
           op.head_width = size.head_width;
           op.scale = 0.3f;
           op.y = b.output({size.samples, size.height, size.width, size.heads});
           return Op(op);
         },
         size.scale == 1 ? 2e-6 : 5e-6});
  return cases;
}

}  // namespace deepcache::test
