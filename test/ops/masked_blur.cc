#include <cmath>

#include "op_cases.h"

namespace deepcache::test {
namespace {

// A row or column beyond the edge, step by step.
int mirrored(int i, int size) {
  if (size == 1) return 0;
  while (i < 0 || i >= size) i = i < 0 ? -i : 2 * (size - 1) - i;
  return i;
}

}  // namespace

void reference(const MaskedBlur& op, ReferenceState& state) {
  const auto &x = state.get(op.x), &x2 = state.get(op.x2), &mass = state.get(op.mass),
             &factors = state.get(op.factors);
  auto& y = state.output(op.y);
  y = x;
  const Shape &shape = op.x.shape, &small = op.mass.shape;
  double total = 0;
  for (int i = -4; i <= 4; i++) total += std::exp(-0.5 * i * i);
  for (int n = 0; n < shape.n; n++) {
    const double* const f = factors.data() + 3 * n;
    const auto pixel = [&](int row, int column) {
      return (size_t(n) * shape.h + size_t(row)) * shape.w + size_t(column);
    };
    const auto clean = [&](int row, int column, int c) {
      return f[0] * x[pixel(row, column) * shape.c + c] +
             f[1] * x2[pixel(row, column) * op.x2.shape.c + c];
    };
    for (int row = 0; row < shape.h; row++)
      for (int column = 0; column < shape.w; column++) {
        const int at = row * small.h / shape.h, across = column * small.w / shape.w;
        double sum = 0;
        for (int head = 0; head < small.c; head++)
          sum += mass[((size_t(n) * small.h + at) * small.w + across) * small.c + head];
        if (sum / small.c <= 1) continue;
        for (int c = 0; c < op.x2.shape.c; c++) {
          double blurred = 0;
          for (int i = -4; i <= 4; i++)
            for (int j = -4; j <= 4; j++)
              blurred += std::exp(-0.5 * (i * i + j * j)) / (total * total) *
                         clean(mirrored(row + i, shape.h), mirrored(column + j, shape.w), c);
          y[pixel(row, column) * shape.c + c] += f[2] * (blurred - clean(row, column, c));
        }
      }
  }
}

std::vector<OpCase> masked_blur_cases() {
  struct Size {
    const char* name;
    Shape x;
    int blurred;  // channels
    int height, width, heads;
  };
  std::vector<OpCase> cases;
  for (const Size& size : std::vector<Size>{{"", {2, 16, 8, 4}, 4, 2, 1, 8},
                                            {"_odd", {1, 13, 9, 4}, 4, 5, 4, 3},
                                            {"_more_channels", {3, 11, 6, 9}, 4, 6, 3, 2},
                                            {"_one_row", {1, 1, 21, 4}, 4, 1, 7, 1},
                                            {"_tiny", {2, 2, 3, 5}, 3, 2, 3, 4}})
    cases.push_back({std::string("masked_blur") + size.name, [size](OpBuilder& b) {
                       MaskedBlur op;
                       const Shape& x = size.x;
                       op.x = b.input(x);
                       op.x2 = b.input({x.n, x.h, x.w, size.blurred});
                       op.mass = b.input({x.n, size.height, size.width, size.heads}, 1, 1);
                       op.factors = b.input({x.n, 1, 1, 3}, 0.5, 1);
                       op.y = b.output(x);
                       return Op(op);
                     }});
  return cases;
}

}  // namespace deepcache::test
