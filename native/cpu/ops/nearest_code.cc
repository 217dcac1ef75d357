#include <cmath>
#include <cstring>

#include "cpu/rows.h"

namespace deepcache::cpu {
namespace {

class NearestCodeOp : public CpuOp {
 public:
  NearestCodeOp(const NearestCode& op, const OpContext& context)
      : op_(op), table_(context.vector(op.table)), codes_(context.plan.weights()[op.table].out) {}

  void run(const RunContext& context) const override {
    const size_t width = op_.x.shape.c;
    const float* x = context.floats(op_.x);
    float* y = context.floats(op_.y);
    const auto nearest = [&](const float* value) {
      const float* best = table_;
      float least = INFINITY;
      for (size_t code = 0; code < codes_; code++) {
        const float* candidate = table_ + code * width;
        float distance = 0;
        for (size_t i = 0; i < width; i++)
          distance += (value[i] - candidate[i]) * (value[i] - candidate[i]);
        if (distance < least) {
          least = distance;
          best = candidate;
        }
      }
      return best;
    };
    for_rows(context, op_.x.shape.rows(), codes_ * width, [&](size_t first, size_t count) {
      for (size_t row = first; row < first + count; row++)
        std::memcpy(y + row * width, nearest(x + row * width), width * sizeof(float));
    });
  }

 private:
  NearestCode op_;
  const float* table_;
  size_t codes_;
};

}  // namespace

std::unique_ptr<CpuOp> make_op(const NearestCode& op, const OpContext& context) {
  return std::make_unique<NearestCodeOp>(op, context);
}

}  // namespace deepcache::cpu
