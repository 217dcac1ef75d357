#include "op_cases.h"

namespace deepcache::test {
namespace {

OpCase resample_case(const std::string& name, Shape x, int height, int width) {
  return {"resample_" + name, [=](OpBuilder& b) {
            Resample op;
            op.x = b.input(x);
            op.y = b.output({x.n, height, width, x.c});
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
  size_t i = 0;
  for (int n = 0; n < to.n; n++)
    for (int h = 0; h < to.h; h++)
      for (int w = 0; w < to.w; w++)
        for (int c = 0; c < to.c; c++, i++)
          out[i] = to.h > from.h ? at(n, h / 2, w / 2, c)
                                 : (at(n, 2 * h, 2 * w, c) + at(n, 2 * h, 2 * w + 1, c) +
                                    at(n, 2 * h + 1, 2 * w, c) + at(n, 2 * h + 1, 2 * w + 1, c)) /
                                       4;
}

std::vector<OpCase> resample_cases() {
  return {
      resample_case("mean", {2, 6, 10, 7}, 3, 5),
      resample_case("mean_of_odd", {1, 5, 3, 33}, 2, 1),
      resample_case("repeat", {2, 3, 5, 9}, 6, 10),
  };
}

}  // namespace deepcache::test
