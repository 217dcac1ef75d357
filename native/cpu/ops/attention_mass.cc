#include <algorithm>
#include <cmath>
#include <vector>

#include "cpu/op.h"

namespace deepcache::cpu {
namespace {

// Items are heads of samples: the mid block's pixels are few.
class AttentionMassOp : public CpuOp {
 public:
  explicit AttentionMassOp(const AttentionMass& op) : op_(op) {}

  void run(const RunContext& context) const override {
    const size_t pixels = op_.pixels(), scratch = (size_t(op_.head_width) + 1) * pixels;
    context.pool.run(
        op_.y.shape.n * op_.heads,
        [&](int index, int thread) {
          run_head(context, size_t(index / op_.heads), size_t(index % op_.heads),
                   context.pool.scratch(thread, scratch));
        },
        context.cancel);
  }

 private:
  void run_head(const RunContext& context, size_t sample, size_t head, float* scratch) const {
    const size_t pixels = op_.pixels(), width = size_t(op_.head_width), heads = size_t(op_.heads);
    const size_t first = sample * pixels, channel = head * width;
    const float* q = context.floats(op_.q) + first * op_.q.shape.c + op_.q_offset + channel;
    const float* k = context.floats(op_.k) + first * op_.k.shape.c + op_.k_offset + channel;
    float* const y = context.floats(op_.y) + first * heads + head;
    // Keys as rows of pixels, so that all scores of a query are summed up at once.
    float* const scores = scratch + width * pixels;
    for (size_t i = 0; i < pixels; i++)
      for (size_t d = 0; d < width; d++) scratch[d * pixels + i] = k[i * op_.k.shape.c + d];
    std::vector<double> mass(pixels);
    for (size_t j = 0; j < pixels; j++, q += op_.q.shape.c) {
      std::fill_n(scores, pixels, 0.0f);
      for (size_t d = 0; d < width; d++) {
        const float by = op_.scale * q[d];
        const float* const row = scratch + d * pixels;
        for (size_t i = 0; i < pixels; i++) scores[i] += by * row[i];
      }
      const float top = *std::max_element(scores, scores + pixels);
      double sum = 0;
      for (size_t i = 0; i < pixels; i++) sum += double(scores[i] = std::exp(scores[i] - top));
      for (size_t i = 0; i < pixels; i++) mass[i] += double(scores[i]) / sum;
    }
    for (size_t i = 0; i < pixels; i++) y[i * heads] = float(mass[i]);
  }

  AttentionMass op_;
};

}  // namespace

std::unique_ptr<CpuOp> make_op(const AttentionMass& op, const OpContext&) {
  return std::make_unique<AttentionMassOp>(op);
}

}  // namespace deepcache::cpu
