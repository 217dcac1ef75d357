#include "cpu/program.h"

#include <algorithm>

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

namespace {

std::unique_ptr<CpuOp> make_op(const Op& op, const OpContext& context) {
  switch (op.kind) {
    case OpKind::conv:
      return make_conv(op.conv, context);
    case OpKind::group_norm:
      return make_group_norm(op.group_norm, context);
    case OpKind::layer_norm:
      return make_layer_norm(op.layer_norm, context);
    case OpKind::attention:
      return make_attention(op.attention, context);
    default:
      return make_simple(op, context);
  }
}

}  // namespace

CpuProgram::CpuProgram(const Plan& plan, Weights& weights, Buffer& arena,
                       const std::vector<Binding>& bindings, const Kernels& kernels,
                       ThreadPool& pool)
    : pool_(pool) {
  if (bindings.size() != plan.externals().size())
    throw Error(ErrorCode::kInternal, "compile: " + std::to_string(bindings.size()) +
                                          " bindings for " +
                                          std::to_string(plan.externals().size()) + " externals");
  if (arena.bytes() < plan.arena_bytes(Type::f32))
    throw Error(ErrorCode::kInternal, "compile: the arena is too small");

  int count = 0;
  const auto see = [&](const Tensor& tensor) { count = std::max(count, tensor.id + 1); };
  for (const Op& op : plan.ops()) {
    op.inputs(see);
    see(op.output());
  }
  places_.resize(count);
  tensors_.resize(count);
  for (int id = 0; id < count; id++) {
    Place& place = places_[id];
    const int index = plan.external_index(id);
    if (index < 0) {
      place.data = static_cast<CpuBuffer&>(arena).data() + plan.offset(id, Type::f32);
      continue;
    }
    const External& external = plan.externals()[index];
    const Binding& binding = bindings[index];
    const size_t bytes = plan.external_bytes(external, Type::f32);
    if (external.type == Type::f16 || external.type == Type::bf16)
      throw Error(ErrorCode::kInternal, "compile: " + external.name + " is not fp32");
    if (!binding.buffer || binding.offset + bytes > binding.buffer->bytes())
      throw Error(ErrorCode::kInternal,
                  "compile: the buffer for " + external.name + " is too small");
    place.data = static_cast<CpuBuffer&>(*binding.buffer).data() + binding.offset;
    if (external.stepped) {
      place.step = binding.step ? binding.step : bytes;
      place.last_step = (binding.buffer->bytes() - binding.offset - bytes) / place.step;
    }
  }

  const OpContext context{plan, weights, kernels, pool.threads()};
  size_t shared = 0;
  for (const Op& op : plan.ops()) {
    steps_.push_back({make_op(op, context), op.output()});
    shared = std::max(shared, steps_.back().op->shared_bytes());
  }
  shared_ = Memory(shared);
  for (const auto& [name, tensor] : plan.labels())
    if (tensor) labels_.emplace(tensor.id, std::make_pair(name, tensor));
}

void CpuProgram::run(int step, const CancelFlag* cancel, const Tap* tap) {
  for (size_t id = 0; id < places_.size(); id++) {
    const Place& place = places_[id];
    if (place.step && (step < 0 || size_t(step) > place.last_step))
      throw Error(ErrorCode::kInternal, "run: step " + std::to_string(step) + " is out of range");
    tensors_[id] = place.data + place.step * size_t(step);
  }
  const RunContext context{pool_, tensors_.data(), shared_.data(), cancel};
  for (const Step& s : steps_) {
    if (cancel && *cancel) throw Error(ErrorCode::kAborted, "aborted");
    s.op->run(context);
    if (!tap || !*tap) continue;
    const auto [first, last] = labels_.equal_range(s.output.id);
    for (auto it = first; it != last; ++it)
      (*tap)(it->second.first, it->second.second.shape, context.floats(it->second.second));
  }
}

}  // namespace deepcache::cpu
