// Cuts attention into items: one head of one sequence for a block of queries, or several such units
// where they are small.

#include <algorithm>

#include "cpu/op.h"

namespace deepcache::cpu {
namespace {

constexpr int kMaxPanels = 8;             // of queries in a unit
constexpr size_t kMaxOutput = 32 * 1024;  // floats of a unit's output that should stay in L2
constexpr double kLeastWork = 2e5;        // multiply-adds that are worth an item

class AttentionOp : public CpuOp {
 public:
  AttentionOp(const Attention& op, const OpContext& context) : op_(op), kernels_(context.kernels) {
    narrow_.q = context.is_narrow(op.q);
    narrow_.k = context.is_narrow(op.k);
    narrow_.v = context.is_narrow(op.v);
    narrow_.y = context.is_narrow(op.y);
    const bool is_bf16 = context.products == Products::bf16;
    attend_ = is_bf16 ? kernels_.bf16->attention : kernels_.attention;
    const auto scratch = is_bf16 ? kernels_.bf16->attention_scratch : kernels_.attention_scratch;
    const int panels = (op.query.length + kernels_.panel - 1) / kernels_.panel;
    const int fitting = int(kMaxOutput / (size_t(op.head_width) * kernels_.panel));
    const int most = std::clamp(fitting, 1, kMaxPanels);
    const size_t heads = size_t(op.outer - op.identities) * op.inner * op.heads;
    // Blocks of equal size, and enough of them to share.
    int blocks = (panels + most - 1) / most;
    if (context.threads > 1)
      while (blocks < panels && heads * blocks < 4 * size_t(context.threads)) blocks++;
    blocks_ = blocks;
    units_ = heads * blocks;
    queries_ = (panels + blocks - 1) / blocks * kernels_.panel;
    scratch_ = scratch(queries_, op.head_width);
    const double work = 2.0 * queries_ * op.key.length * op.head_width;
    const size_t most_units = std::max<size_t>(1, units_ / (8 * size_t(context.threads)));
    per_item_ = std::clamp<size_t>(size_t(kLeastWork / work), 1, most_units);
  }

  void run(const RunContext& context) const override {
    const size_t items = (units_ + per_item_ - 1) / per_item_;
    context.pool.run(
        int(items),
        [&](int index, int thread) {
          float* scratch = context.pool.scratch(thread, scratch_);
          const size_t last = std::min(units_, (index + 1) * per_item_);
          for (size_t unit = index * per_item_; unit < last; unit++)
            run_unit(context, unit, scratch);
        },
        context.cancel);
    copy_identities(context);
  }

 private:
  void copy_identities(const RunContext& context) const {
    const Sequence &to = op_.query, &from = op_.key;
    const size_t width = op_.y.shape.c;
    for (int o = op_.outer - op_.identities; o < op_.outer; o++)
      for (int i = 0; i < op_.inner; i++)
        for (int e = 0; e < to.length; e++) {
          const size_t row =
              size_t(o) * to.outer_stride + size_t(i) * to.inner_stride + size_t(e) * to.step;
          const size_t row_v =
              size_t(o) * from.outer_stride + size_t(i) * from.inner_stride + size_t(e) * from.step;
          const float* v = context.floats(op_.v) + row_v * op_.v.shape.c + op_.v_offset;
          std::copy_n(v, width, context.floats(op_.y) + row * width);
        }
  }

  void run_unit(const RunContext& context, size_t unit, float* scratch) const {
    AttentionJob job;
    job.begin = int(unit % blocks_) * queries_;
    job.end = std::min(job.begin + queries_, op_.query.length);
    if (job.begin >= job.end) return;
    const int head = int(unit / blocks_ % op_.heads);
    const int sequence = int(unit / blocks_ / op_.heads);
    const int outer = sequence / op_.inner, inner = sequence % op_.inner;

    const int channel = head * op_.head_width;
    const auto place = [&](const Tensor& tensor, bool is_narrow, const Sequence& s, int offset,
                           ptrdiff_t* step) -> void* {
      const ptrdiff_t row = ptrdiff_t(outer) * s.outer_stride + ptrdiff_t(inner) * s.inner_stride;
      *step = ptrdiff_t(s.step) * tensor.shape.c;
      const ptrdiff_t at = row * tensor.shape.c + offset + channel;
      if (is_narrow) return context.bf16(tensor) + at;
      return context.floats(tensor) + at;
    };
    job.narrow = narrow_;
    job.q = place(op_.q, narrow_.q, op_.query, op_.q_offset, &job.q_step);
    job.k = place(op_.k, narrow_.k, op_.key, op_.k_offset, &job.k_step);
    job.v = place(op_.v, narrow_.v, op_.key, op_.v_offset, &job.v_step);
    job.y = place(op_.y, narrow_.y, op_.query, 0, &job.y_step);
    job.keys = op_.key.length;
    job.width = op_.head_width;
    job.scale = op_.scale;
    job.causal = op_.causal;
    job.scratch = scratch;
    job.cancel = context.cancel;
    attend_(job);
  }

  Attention op_;
  AttentionJob::Narrow narrow_;
  const Kernels& kernels_;
  size_t blocks_ = 1, units_ = 0, per_item_ = 1;
  int queries_ = 0;  // of a unit
  void (*attend_)(const AttentionJob&);
  size_t scratch_;  // floats
};

}  // namespace

std::unique_ptr<CpuOp> make_op(const Attention& op, const OpContext& context) {
  return std::make_unique<AttentionOp>(op, context);
}

}  // namespace deepcache::cpu
