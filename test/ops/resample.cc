#include <algorithm>

#include "op_cases.h"

namespace deepcache::test {
namespace {

OpCase resample_case(const std::string& name, Shape x, int height, int width, int channels = 0) {
  return {"resample_" + name, [=](OpBuilder& b) {
            Resample op;
            op.x = b.input(x);
            op.y = b.output({x.n, height, width, channels ? channels : x.c});
            return Op(op);
          }};
}

}  // namespace

void reference(const Resample& op, ReferenceState& state) {
  const auto& x = state.get(op.x);
  auto& out = state.output(op.y);
  const Shape &from = op.x.shape, &to = op.y.shape;
  const auto at = [&](int n, int h, int w, int c) {
    return x[((size_t(n) * from.h + h) * from.w + w) * from.c + c];
  };
  const int r = std::max(to.h / from.h, from.h / to.h);
  const auto of_pixel = [&](int n, int h, int w, int c) {
    if (to.c > from.c) return at(n, r * h + c / r % r, r * w + c % r, c / (r * r));
    if (to.c < from.c) return at(n, h / r, w / r, c * r * r + h % r * r + w % r);
    if (to.h > from.h) return at(n, h / r, w / r, c);
    double sum = 0;
    int count = 0;
    for (int i = 2 * h; i < std::min(2 * h + 2, from.h); i++)
      for (int j = 2 * w; j < std::min(2 * w + 2, from.w); j++, count++) sum += at(n, i, j, c);
    return sum / count;
  };
  size_t i = 0;
  for (int n = 0; n < to.n; n++)
    for (int h = 0; h < to.h; h++)
      for (int w = 0; w < to.w; w++)
        for (int c = 0; c < to.c; c++, i++) out[i] = of_pixel(n, h, w, c);
}

std::vector<OpCase> resample_cases() {
  return {
      resample_case("mean", {2, 6, 10, 7}, 3, 5),
      resample_case("mean_of_odd", {1, 5, 3, 33}, 2, 1),
      resample_case("mean_rounded_up", {2, 5, 7, 9}, 3, 4),
      resample_case("repeat", {2, 3, 5, 9}, 6, 10),
      resample_case("repeat_x4", {1, 3, 5, 3}, 12, 20),
      resample_case("unshuffle", {2, 6, 10, 3}, 3, 5, 12),
      resample_case("unshuffle_x4", {1, 4, 8, 5}, 1, 2, 80),
      resample_case("shuffle", {2, 3, 5, 12}, 6, 10, 3),
      resample_case("shuffle_x4", {1, 2, 3, 48}, 8, 12, 3),
  };
}

}  // namespace deepcache::test
