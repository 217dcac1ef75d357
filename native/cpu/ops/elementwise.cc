#include <algorithm>

#include "cpu/rows.h"

namespace deepcache::cpu {
namespace {

class ElementwiseOp : public CpuOp {
 public:
  ElementwiseOp(const Elementwise& op, const OpContext& context)
      : op_(op), kernels_(context.kernels), slopes_(context.vector(op.slopes)) {}

  void run(const RunContext& context) const override {
    const float *x = context.floats(op_.x), *x2 = context.floats(op_.x2),
                *mask = context.floats(op_.mask);
    float* y = context.floats(op_.y);
    const size_t width = op_.x.shape.c, rows = op_.x.shape.rows();
    const size_t period = op_.x2 ? op_.x2.shape.rows() : rows;  // x2's rows repeat
    const bool one_by_one = op_.repeat > 1 || mask || slopes_ || op_.modulation;
    const float* scales = op_.scale ? context.floats(op_.scale) + op_.scale_offset : nullptr;
    const size_t part = op_.scale ? rows / op_.scale.shape.rows() : rows;  // of one scale
    const float* const modulation = context.floats(op_.modulation);
    const size_t modulated = op_.modulation ? rows / op_.modulation.shape.n : rows;
    for_rows(context, rows, width, [&](size_t first, size_t count) {
      ElementwiseJob job;
      job.a = op_.a;
      job.b = op_.b;
      job.offset = op_.offset;
      job.activation = op_.activation;
      job.slope = op_.slope;
      job.slopes = slopes_;
      while (count) {
        const size_t row2 = first / op_.repeat % period;
        const size_t rest = std::min(count, part - first % part);
        const size_t some = one_by_one ? 1 : std::min(rest, period - row2);
        job.x = x + first * width;
        job.x2 = x2 ? x2 + row2 * width : nullptr;
        job.y = y + first * width;
        job.count = some * width;
        if (scales) job.b = op_.b * scales[first / part * op_.scale.shape.c];
        if (mask) {
          job.a = op_.a * mask[first];
          job.b = op_.b * (1 - mask[first]);
        }
        if (modulation) {
          job.gain =
              modulation + first / modulated * op_.modulation.shape.c + op_.modulation_offset;
          job.shift = job.gain + width;
        }
        kernels_.elementwise(job);
        first += some;
        count -= some;
      }
    });
  }

 private:
  Elementwise op_;
  const Kernels& kernels_;
  const float* slopes_;
};

}  // namespace

std::unique_ptr<CpuOp> make_op(const Elementwise& op, const OpContext& context) {
  return std::make_unique<ElementwiseOp>(op, context);
}

}  // namespace deepcache::cpu
