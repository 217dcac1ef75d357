#include <cmath>
#include <numbers>

#include "cpu/rows.h"

namespace deepcache::cpu {
namespace {

constexpr size_t kChannels = 32;  // that a thread sums up at a time

// exp(i 2 pi k j / size) of each frequency k and each place j of an axis.
struct Waves {
  Waves(FreeU::Band band, int size) : count(band.count) {
    for (int k = band.first; k < band.first + band.count; k++)
      for (int j = 0; j < size; j++) {
        const double angle = 2 * std::numbers::pi * double(int64_t(k) * j % size) / size;
        cosines.push_back(std::cos(angle));
        sines.push_back(std::sin(angle));
      }
  }
  int count;
  std::vector<double> cosines, sines;
};

class FreeUOp : public CpuOp {
 public:
  explicit FreeUOp(const FreeU& op)
      : op_(op),
        down_(op.band(op.skip.shape.h), op.skip.shape.h),
        along_(op.band(op.skip.shape.w), op.skip.shape.w) {}

  void run(const RunContext& context) const override {
    scale_backbone(context);
    const size_t chunks = (size_t(op_.skip.shape.c) + kChannels - 1) / kChannels;
    context.pool.run(
        int(size_t(op_.skip.shape.n) * chunks),
        [&](int index, int) {
          filter_skip(context, size_t(index) / chunks, size_t(index) % chunks * kChannels);
        },
        context.cancel);
  }

 private:
  // Of the backbone (0) or the skip (1).
  float factor(const RunContext& context, size_t sample, int which) const {
    return context.floats(
        op_.factors)[sample * op_.factors.shape.c + size_t(op_.place) + size_t(which)];
  }

  void scale_backbone(const RunContext& context) const {
    const size_t width = op_.x.shape.c, half = width / 2, stride = op_.y.shape.c;
    const size_t pixels = op_.x.shape.rows() / op_.x.shape.n;
    for_rows(context, op_.x.shape.rows(), width, [&](size_t first, size_t count) {
      for (size_t row = first; row < first + count; row++) {
        const float by = factor(context, row / pixels, 0);
        const float* x = context.floats(op_.x) + row * width;
        float* y = context.floats(op_.y) + row * stride;
        for (size_t c = 0; c < width; c++) y[c] = c < half ? by * x[c] : x[c];
      }
    });
  }

  // Calls visit(pair, cosine, sine) of every pair of low frequencies, at a pixel.
  void each_wave(int row, int column, const auto& visit) const {
    const Shape& shape = op_.skip.shape;
    int pair = 0;
    for (int i = 0; i < down_.count; i++)
      for (int j = 0; j < along_.count; j++, pair++) {
        const size_t a = size_t(i) * shape.h + row, b = size_t(j) * shape.w + column;
        visit(pair, down_.cosines[a] * along_.cosines[b] - down_.sines[a] * along_.sines[b],
              down_.sines[a] * along_.cosines[b] + down_.cosines[a] * along_.sines[b]);
      }
  }

  void filter_skip(const RunContext& context, size_t sample, size_t first) const {
    const Shape& shape = op_.skip.shape;
    const size_t width = shape.c, stride = op_.y.shape.c, some = std::min(kChannels, width - first);
    const size_t pixels = size_t(shape.h) * shape.w;
    const float* x = context.floats(op_.skip) + sample * pixels * width + first;
    float* y = context.floats(op_.y) + sample * pixels * stride + op_.x.shape.c + first;
    std::vector<double> sums(size_t(down_.count) * along_.count * 2 * kChannels);
    const auto each_pixel = [&](const auto& visit) {
      for (int row = 0; row < shape.h; row++)
        for (int column = 0; column < shape.w; column++)
          visit(row, column, size_t(row) * shape.w + column);
    };
    each_pixel([&](int row, int column, size_t pixel) {
      const float* in = x + pixel * width;
      each_wave(row, column, [&](int pair, double cosine, double sine) {
        double* const to = sums.data() + size_t(pair) * 2 * kChannels;
        for (size_t c = 0; c < some; c++) to[c] += cosine * double(in[c]);
        for (size_t c = 0; c < some; c++) to[kChannels + c] += sine * double(in[c]);
      });
    });
    const double by = (double(factor(context, sample, 1)) - 1) / double(pixels);
    each_pixel([&](int row, int column, size_t pixel) {
      double low[kChannels] = {};
      each_wave(row, column, [&](int pair, double cosine, double sine) {
        const double* const from = sums.data() + size_t(pair) * 2 * kChannels;
        for (size_t c = 0; c < some; c++) low[c] += cosine * from[c] + sine * from[kChannels + c];
      });
      for (size_t c = 0; c < some; c++)
        y[pixel * stride + c] = float(double(x[pixel * width + c]) + by * low[c]);
    });
  }

  FreeU op_;
  Waves down_, along_;
};

}  // namespace

std::unique_ptr<CpuOp> make_op(const FreeU& op, const OpContext&) {
  return std::make_unique<FreeUOp>(op);
}

}  // namespace deepcache::cpu
