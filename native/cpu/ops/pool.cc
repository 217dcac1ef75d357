#include <algorithm>

#include "cpu/rows.h"

namespace deepcache::cpu {
namespace {

class PoolOp : public CpuOp {
 public:
  explicit PoolOp(const Pool& op) : op_(op) {}

  void run(const RunContext& context) const override {
    const Shape &from = op_.x.shape, &to = op_.y.shape;
    const size_t c = from.c, image = size_t(from.h) * from.w * c;
    // A row of pixels of y reads `kernel` rows of x.
    const size_t read = size_t(op_.kernel) * from.w * c;
    for_rows(context, size_t(to.n) * to.h, read, [&](size_t first, size_t count) {
      for (size_t index = first; index < first + count; index++) {
        const float* x = context.floats(op_.x) + index / to.h * image;
        float* y = context.floats(op_.y) + index * to.w * c;
        const Span rows = span(int(index % to.h), from.h);
        for (int i = 0; i < to.w; i++, y += c) pixel(x, rows, span(i, from.w), y);
      }
    });
  }

 private:
  struct Span {
    int begin, end;
  };

  // What of an axis lies in square `i`.
  Span span(int i, int size) const {
    const int begin = i * op_.stride - op_.pad;
    return {std::max(begin, 0), std::min(begin + op_.kernel, size)};
  }

  void pixel(const float* x, Span rows, Span columns, float* y) const {
    const size_t c = op_.x.shape.c, line = size_t(op_.x.shape.w) * c;
    const auto at = [&](int row, int column) { return x + row * line + column * c; };
    std::copy_n(at(rows.begin, columns.begin), c, y);
    for (int row = rows.begin; row < rows.end; row++)
      for (int column = columns.begin + (row == rows.begin); column < columns.end; column++) {
        const float* const value = at(row, column);
        if (op_.mean)
          for (size_t i = 0; i < c; i++) y[i] += value[i];
        else  // keeps what is no number
          for (size_t i = 0; i < c; i++) y[i] = y[i] >= value[i] || y[i] != y[i] ? y[i] : value[i];
      }
    if (!op_.mean) return;
    const float share = 1 / float((rows.end - rows.begin) * (columns.end - columns.begin));
    for (size_t i = 0; i < c; i++) y[i] *= share;
  }

  Pool op_;
};

}  // namespace

std::unique_ptr<CpuOp> make_op(const Pool& op, const OpContext&) {
  return std::make_unique<PoolOp>(op);
}

}  // namespace deepcache::cpu
