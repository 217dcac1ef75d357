#include "cpu/program.h"

#include <algorithm>

#include "cpu/backend.h"
#include "runtime/error.h"

namespace deepcache::cpu {

const CpuWeight* OpContext::weight(WeightId id) const {
  if (id < 0) return nullptr;
  return static_cast<const CpuWeight*>(&weights.get(plan.weights()[id]));
}

const float* OpContext::vector(WeightId id) const {
  const CpuWeight* packed = weight(id);
  return packed ? packed->values.floats() : nullptr;
}

const GroupNorm* OpContext::norm(const Conv& conv) const {
  if (execution == Execution::op_by_op || conv.norm < 0) return nullptr;
  return &plan.ops()[size_t(conv.norm)].group_norm;
}

bool OpContext::is_narrow(const Tensor& tensor) const {
  return execution == Execution::mixed && tensor && plan.is_narrow(tensor.id);
}

bool OpContext::is_over(const Tensor& y, const Tensor& x) const {
  if (plan.external_index(y.id) >= 0 || plan.external_index(x.id) >= 0) return false;
  return plan.offset(y.id, Type::f32, execution) == plan.offset(x.id, Type::f32, execution);
}

CpuProgram::CpuProgram(const Plan& plan, Weights& weights, Buffer& arena,
                       const std::vector<Binding>& bindings, CpuBackend& backend)
    : Program(plan),
      placements_(place_tensors(plan, arena, bindings, Type::f32, backend.execution())),
      tensors_(placements_.size()),
      labels_(labels_by_tensor(plan)),
      pool_(backend.pool()) {
  const OpContext context{
      plan, weights, backend.kernels(), backend.products(), pool_.threads(), backend.execution()};
  size_t shared = 0;
  for (const Op& op : plan.ops()) {
    steps_.push_back({op.visit([&](const auto& op) { return make_op(op, context); }), op.output(),
                      context.is_narrow(op.output())});
    shared = std::max(shared, steps_.back().op->shared_bytes());
  }
  shared_ = Memory(shared);
}

void CpuProgram::run_ops(OpRange ops, int step, const CancelFlag* cancel, const Tap* tap) {
  check_step(placements_, step);
  for (size_t id = 0; id < placements_.size(); id++) {
    const Placement& place = placements_[id];
    tensors_[id] =
        static_cast<CpuBuffer&>(*place.buffer).data() + place.offset + place.step * size_t(step);
  }
  const RunContext context{pool_, tensors_.data(), shared_.data(), cancel};
  for (int i = ops.first; i < ops.last; i++) {
    const Step& s = steps_[size_t(i)];
    check_cancelled(cancel);
    s.op->run(context);
    if (!tap || !*tap) continue;
    const auto [first, last] = labels_.equal_range(s.output.id);
    if (first == last) continue;
    std::vector<float> widened;
    const float* values = context.floats(s.output);
    if (s.is_narrow) {
      const Bf16* const narrow = context.bf16(s.output);
      for (size_t v = 0; v < s.output.shape.count(); v++) widened.push_back(value_of(narrow[v]));
      values = widened.data();
    }
    for (auto it = first; it != last; ++it)
      (*tap)(it->second.first, it->second.second.shape, values);
  }
}

}  // namespace deepcache::cpu
