#include <algorithm>
#include <limits>

#include "op_cases.h"

namespace deepcache::test {
namespace {

struct Window {
  int kernel, stride = 1, pad = 0;
};

OpCase pool_case(const std::string& name, Shape x, Window window, bool mean) {
  return {"pool_" + name, [=](OpBuilder& b) {
            const auto side = [&](int in) {
              return (in + 2 * window.pad - window.kernel) / window.stride + 1;
            };
            Pool op;
            // Away from zero, which what lies beyond an edge could be taken for.
            op.x = b.input(x, 1, mean ? 2 : -2);
            op.kernel = window.kernel;
            op.stride = window.stride;
            op.pad = window.pad;
            op.mean = mean;
            op.y = b.output({x.n, side(x.h), side(x.w), x.c});
            return Op(op);
          }};
}

}  // namespace

void reference(const Pool& op, ReferenceState& state) {
  const auto& x = state.get(op.x);
  auto& out = state.output(op.y);
  const Shape &from = op.x.shape, &to = op.y.shape;
  size_t at = 0;
  for (int n = 0; n < to.n; n++)
    for (int h = 0; h < to.h; h++)
      for (int w = 0; w < to.w; w++)
        for (int c = 0; c < to.c; c++) {
          double sum = 0, largest = -std::numeric_limits<double>::infinity();
          int count = 0;
          for (int i = 0; i < op.kernel; i++)
            for (int j = 0; j < op.kernel; j++) {
              const int row = h * op.stride + i - op.pad, column = w * op.stride + j - op.pad;
              if (row < 0 || row >= from.h || column < 0 || column >= from.w) continue;
              const double value =
                  x[((size_t(n) * from.h + row) * from.w + column) * from.c + size_t(c)];
              sum += value;
              largest = std::max(largest, value);
              count++;
            }
          out[at++] = op.mean ? sum / count : largest;
        }
}

std::vector<OpCase> pool_cases() {
  return {
      pool_case("max", {2, 7, 9, 5}, {3, 2}, false),
      pool_case("max_even", {1, 8, 6, 33}, {3, 2}, false),
      pool_case("max_padded", {2, 5, 4, 7}, {3, 1, 1}, false),
      pool_case("mean_padded", {2, 5, 4, 7}, {3, 1, 1}, true),
      pool_case("mean_strided", {1, 9, 7, 16}, {3, 2, 1}, true),
      pool_case("mean_of_all", {3, 8, 8, 24}, {8}, true),
      pool_case("mean_of_one_pixel", {1, 1, 1, 3}, {3, 1, 1}, true),
  };
}

}  // namespace deepcache::test
