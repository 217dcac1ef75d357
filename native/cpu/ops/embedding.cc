#include "cpu/op.h"
#include "runtime/error.h"

namespace deepcache::cpu {
namespace {

class EmbeddingOp : public CpuOp {
 public:
  EmbeddingOp(const Embedding& op, const OpContext& context)
      : op_(op),
        table_(context.vector(op.table)),
        positions_(context.vector(op.positions)),
        rows_(context.plan.weights()[op.table].out) {}

  void run(const RunContext& context) const override {
    const int32_t* ids = context.ints(op_.ids);
    const float* added = context.floats(op_.added);
    const int width = op_.y.shape.c, length = op_.ids.shape.w;
    const int64_t all = rows_ + (op_.added ? int64_t(op_.added.shape.rows()) : 0);
    for (size_t i = 0; i < op_.ids.shape.count(); i++) {
      if (ids[i] < 0 || ids[i] >= all)
        throw Error(ErrorCode::kInvalidArgument, "token id " + std::to_string(ids[i]) +
                                                     " is outside of the vocabulary of " +
                                                     std::to_string(all));
      const float* from =
          ids[i] < rows_ ? table_ + size_t(ids[i]) * width : added + size_t(ids[i] - rows_) * width;
      const float* position = positions_ ? positions_ + (i % length) * width : nullptr;
      float* to = context.floats(op_.y) + i * width;
      for (int c = 0; c < width; c++) to[c] = position ? from[c] + position[c] : from[c];
    }
  }

 private:
  Embedding op_;
  const float *table_, *positions_;
  int rows_;
};

}  // namespace

std::unique_ptr<CpuOp> make_op(const Embedding& op, const OpContext& context) {
  return std::make_unique<EmbeddingOp>(op, context);
}

}  // namespace deepcache::cpu
