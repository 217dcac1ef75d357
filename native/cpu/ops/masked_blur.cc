#include <algorithm>
#include <array>

#include "cpu/rows.h"

namespace deepcache::cpu {
namespace {

// torch's padding mode "reflect", of any size.
int reflected(int i, int size) {
  if (size == 1) return 0;
  const int period = 2 * (size - 1);
  i = (i % period + period) % period;
  return std::min(i, period - i);
}

class MaskedBlurOp : public CpuOp {
 public:
  explicit MaskedBlurOp(const MaskedBlur& op) : op_(op), taps_(MaskedBlur::taps()) {}

  void run(const RunContext& context) const override {
    const Shape& shape = op_.x.shape;
    const size_t pixels = size_t(shape.h) * shape.w, width = shape.c;
    for_rows(context, shape.rows(), width * MaskedBlur::kTaps, [&](size_t first, size_t count) {
      for (size_t row = first; row < first + count; row++) {
        const float* const x = context.floats(op_.x) + row * width;
        std::copy_n(x, width, context.floats(op_.y) + row * width);
        const size_t sample = row / pixels;
        const int at = int(row % pixels / shape.w), across = int(row % shape.w);
        if (is_masked(context, sample, at, across)) blur(context, sample, at, across);
      }
    });
  }

 private:
  bool is_masked(const RunContext& context, size_t sample, int row, int column) const {
    const Shape& shape = op_.mass.shape;
    const size_t at = size_t(row) * shape.h / op_.x.shape.h;
    const size_t across = size_t(column) * shape.w / op_.x.shape.w;
    const float* mass =
        context.floats(op_.mass) + ((sample * shape.h + at) * shape.w + across) * size_t(shape.c);
    double sum = 0;
    for (int head = 0; head < shape.c; head++) sum += double(mass[head]);
    return sum > double(shape.c);
  }

  void blur(const RunContext& context, size_t sample, int row, int column) const {
    const Shape& shape = op_.x.shape;
    const size_t in = shape.c, out = op_.x2.shape.c, base = sample * shape.h * shape.w;
    const float* const factors = context.floats(op_.factors) + sample * 3;
    const auto estimate = [&](size_t pixel, size_t c) {
      return double(factors[0]) * double(context.floats(op_.x)[pixel * in + c]) +
             double(factors[1]) * double(context.floats(op_.x2)[pixel * out + c]);
    };
    const size_t here = base + size_t(row) * shape.w + column;
    for (size_t c = 0; c < out; c++) {
      double sum = 0;
      for (int i = 0; i < MaskedBlur::kTaps; i++) {
        const size_t line =
            base + size_t(reflected(row + i - MaskedBlur::kReach, shape.h)) * shape.w;
        double part = 0;
        for (int j = 0; j < MaskedBlur::kTaps; j++)
          part += double(taps_[size_t(j)]) *
                  estimate(line + size_t(reflected(column + j - MaskedBlur::kReach, shape.w)), c);
        sum += double(taps_[size_t(i)]) * part;
      }
      float& y = context.floats(op_.y)[here * in + c];
      y = float(double(y) + double(factors[2]) * (sum - estimate(here, c)));
    }
  }

  MaskedBlur op_;
  std::array<float, MaskedBlur::kTaps> taps_;
};

}  // namespace

std::unique_ptr<CpuOp> make_op(const MaskedBlur& op, const OpContext&) {
  return std::make_unique<MaskedBlurOp>(op);
}

}  // namespace deepcache::cpu
