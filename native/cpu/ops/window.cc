#include <cstring>
#include <vector>

#include "cpu/rows.h"

namespace deepcache::cpu {
namespace {

class WindowOp : public CpuOp {
 public:
  explicit WindowOp(const Window& op) : op_(op) {
    for (int place = 0; place < op.windows.length; ++place)
      shares_.push_back(op.windows.share(op.index, place));
  }

  void run(const RunContext& context) const override {
    const FrameWindows& windows = op_.windows;
    const Shape& shape = op_.x.shape;
    const size_t width = shape.c, pixels = size_t(shape.h) * shape.w;
    const size_t rows = (op_.merge ? op_.x : op_.y).shape.rows();
    const int start = windows.start(op_.index), first = windows.first(op_.index),
              first_new = windows.first_new(op_.index);
    const float* x = context.floats(op_.x);
    float* y = context.floats(op_.y);
    for_rows(context, rows, width, [&](size_t begin, size_t count) {
      for (size_t row = begin; row < begin + count; row++) {
        const int place = int(row / pixels % size_t(windows.length)), frame = start + place;
        const size_t video = row / pixels / size_t(windows.length);
        const size_t other = (video * windows.frames + frame) * pixels + row % pixels;
        if (!op_.merge)
          std::memcpy(y + row * width, x + other * width, width * sizeof(float));
        else if (frame >= first)
          merge(x + row * width, y + other * width, width, shares_[place], frame >= first_new);
      }
    });
  }

 private:
  static void merge(const float* x, float* y, size_t width, float share, bool is_new) {
    if (is_new)
      for (size_t c = 0; c < width; c++) y[c] = share * x[c];
    else
      for (size_t c = 0; c < width; c++) y[c] += share * x[c];
  }

  Window op_;
  std::vector<float> shares_;
};

}  // namespace

std::unique_ptr<CpuOp> make_op(const Window& op, const OpContext&) {
  return std::make_unique<WindowOp>(op);
}

}  // namespace deepcache::cpu
