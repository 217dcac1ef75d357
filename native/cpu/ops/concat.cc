#include <cstring>

#include "cpu/rows.h"

namespace deepcache::cpu {
namespace {

class ConcatOp : public CpuOp {
 public:
  explicit ConcatOp(const Concat& op) : op_(op) {}

  void run(const RunContext& context) const override {
    const size_t width = op_.x.shape.c, width2 = op_.x2.shape.c;
    for_rows(context, op_.y.shape.rows(), width + width2, [&](size_t first, size_t count) {
      for (size_t row = first; row < first + count; row++) {
        float* y = context.floats(op_.y) + row * (width + width2);
        std::memcpy(y, context.floats(op_.x) + row * width, width * sizeof(float));
        std::memcpy(y + width, context.floats(op_.x2) + row * width2, width2 * sizeof(float));
      }
    });
  }

 private:
  Concat op_;
};

}  // namespace

std::unique_ptr<CpuOp> make_op(const Concat& op, const OpContext&) {
  return std::make_unique<ConcatOp>(op);
}

}  // namespace deepcache::cpu
