#include <cstring>

#include "cpu/rows.h"

namespace deepcache::cpu {
namespace {

class ResampleOp : public CpuOp {
 public:
  explicit ResampleOp(const Resample& op) : op_(op), mode_(op.mode()), factor_(op.factor()) {}

  void run(const RunContext& context) const override {
    const Shape &from = op_.x.shape, &to = op_.y.shape;
    const size_t c = from.c, line = size_t(from.w) * c;
    for_rows(context, size_t(to.n) * to.h, size_t(to.w) * to.c, [&](size_t first, size_t count) {
      for (size_t index = first; index < first + count; index++) {  // of y's rows of pixels
        const size_t image = index / to.h, y = index % to.h;
        const float* x = context.floats(op_.x) + image * from.h * line;
        float* out = context.floats(op_.y) + index * to.w * to.c;
        for (int w = 0; w < to.w; w++, out += to.c) pixel(x, line, y, w, out);
      }
    });
  }

 private:
  // Pixel (y, w) of an image.
  void pixel(const float* x, size_t line, size_t y, size_t w, float* out) const {
    const size_t r = factor_, c = op_.x.shape.c;
    const float* const square = x + r * y * line + r * w * c;  // of x, of y's pixel
    const float* const source = x + y / r * line + w / r * c;  // x's pixel, of a square of y
    switch (mode_) {
      case Resample::Mode::mean: {
        // Beyond the edge stands the edge.
        const size_t right = 2 * w + 1 < size_t(op_.x.shape.w) ? c : 0;
        const size_t below = 2 * y + 1 < size_t(op_.x.shape.h) ? line : 0;
        for (size_t i = 0; i < c; i++)
          out[i] =
              (square[i] + square[right + i] + square[below + i] + square[below + right + i]) / 4;
        return;
      }
      case Resample::Mode::repeat:
        std::memcpy(out, source, c * sizeof(float));
        return;
      case Resample::Mode::unshuffle:
        for (size_t i = 0; i < c; i++)
          for (size_t k = 0; k < r * r; k++)
            out[i * r * r + k] = square[k / r * line + k % r * c + i];
        return;
      case Resample::Mode::shuffle:
        for (size_t i = 0; i < size_t(op_.y.shape.c); i++)
          out[i] = source[i * r * r + y % r * r + w % r];
        return;
    }
  }

  Resample op_;
  Resample::Mode mode_;
  size_t factor_;
};

}  // namespace

std::unique_ptr<CpuOp> make_op(const Resample& op, const OpContext&) {
  return std::make_unique<ResampleOp>(op);
}

}  // namespace deepcache::cpu
