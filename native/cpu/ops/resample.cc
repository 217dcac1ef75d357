#include <cstring>

#include "cpu/rows.h"

namespace deepcache::cpu {
namespace {

class ResampleOp : public CpuOp {
 public:
  explicit ResampleOp(const Resample& op) : op_(op) {}

  void run(const RunContext& context) const override {
    const Shape &from = op_.x.shape, &to = op_.y.shape;
    const bool smaller = to.h < from.h || to.w < from.w;
    const size_t c = to.c, line = size_t(from.w) * c;
    const auto row = [&](size_t index) {  // of y's pixels
      const size_t image = index / to.h, y = index % to.h;
      const float* x = context.floats(op_.x) + image * from.h * line;
      float* out = context.floats(op_.y) + index * to.w * c;
      for (int w = 0; w < to.w; w++, out += c) {
        if (!smaller) {
          std::memcpy(out, x + y / 2 * line + w / 2 * c, c * sizeof(float));
          continue;
        }
        const float* square = x + 2 * y * line + 2 * w * c;
        for (size_t i = 0; i < c; i++)
          out[i] = (square[i] + square[c + i] + square[line + i] + square[line + c + i]) / 4;
      }
    };
    for_rows(context, size_t(to.n) * to.h, size_t(to.w) * c, [&](size_t first, size_t count) {
      for (size_t index = first; index < first + count; index++) row(index);
    });
  }

 private:
  Resample op_;
};

}  // namespace

std::unique_ptr<CpuOp> make_op(const Resample& op, const OpContext&) {
  return std::make_unique<ResampleOp>(op);
}

}  // namespace deepcache::cpu
