#include "cpu/rows.h"

namespace deepcache::cpu {
namespace {

class LayerNormOp : public CpuOp {
 public:
  LayerNormOp(const LayerNorm& op, const OpContext& context)
      : op_(op),
        kernels_(context.kernels),
        gamma_(context.vector(op.gamma)),
        beta_(context.vector(op.beta)),
        y_is_narrow_(context.is_narrow(op.y)) {}

  void run(const RunContext& context) const override {
    const size_t rows = op_.x.shape.rows();
    const int channels = op_.x.shape.c;
    for_rows(context, rows, channels, [&](size_t first, size_t count) {
      const float* const x = context.floats(op_.x) + first * channels;
      if (y_is_narrow_)
        kernels_.bf16->layer_norm_to(x, context.bf16(op_.y) + first * channels, int(count),
                                     channels, gamma_, beta_, op_.epsilon);
      else
        kernels_.layer_norm(x, context.floats(op_.y) + first * channels, int(count), channels,
                            gamma_, beta_, op_.epsilon);
    });
  }

 private:
  LayerNorm op_;
  const Kernels& kernels_;
  const float *gamma_, *beta_;
  const bool y_is_narrow_;
};

}  // namespace

std::unique_ptr<CpuOp> make_op(const LayerNorm& op, const OpContext& context) {
  return std::make_unique<LayerNormOp>(op, context);
}

}  // namespace deepcache::cpu
