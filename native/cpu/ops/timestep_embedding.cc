#include <cmath>
#include <numbers>

#include "cpu/op.h"

namespace deepcache::cpu {
namespace {

// In fp32 step by step, as PyTorch does it.
class TimestepEmbeddingOp : public CpuOp {
 public:
  TimestepEmbeddingOp(const TimestepEmbedding& op, const OpContext& context)
      : op_(op), frequencies_(context.vector(op.frequencies)) {}

  void run(const RunContext& context) const override {
    const int half = op_.dim / 2;
    const float* x = context.floats(op_.x);
    float* y = context.floats(op_.y);
    for (size_t i = 0; i < op_.x.shape.count(); i++, y += op_.dim) {
      float* const sines = y + (op_.flip_sin_to_cos ? half : 0);
      float* const cosines = y + (op_.flip_sin_to_cos ? 0 : half);
      for (int j = 0; j < half; j++) {
        const float angle = angle_of(x[i], j);
        sines[j] = std::sin(angle);
        cosines[j] = std::cos(angle);
      }
      if (op_.dim % 2) y[op_.dim - 1] = 0;
    }
  }

 private:
  float angle_of(float x, int j) const {
    if (frequencies_) return x * frequencies_[j] * 2 * std::numbers::pi_v<float>;
    const float exponent =
        float(-std::log(10000.0)) * float(j) / (float(op_.dim / 2) - op_.freq_shift);
    return x * std::exp(exponent);
  }

  TimestepEmbedding op_;
  const float* frequencies_;
};

}  // namespace

std::unique_ptr<CpuOp> make_op(const TimestepEmbedding& op, const OpContext& context) {
  return std::make_unique<TimestepEmbeddingOp>(op, context);
}

}  // namespace deepcache::cpu
