#include "placement.h"

#include <algorithm>

namespace deepcache {
namespace {

Placement place_external(const Plan& plan, const External& external, const Binding& binding,
                         Type activation) {
  if (external.type == Type::f16 || external.type == Type::bf16)
    throw Error(ErrorCode::kInternal,
                "compile: " + to_string(external.port) + " has a type of files");
  const size_t bytes = plan.external_bytes(external, activation);
  if (!binding.buffer || binding.offset + bytes > binding.buffer->bytes())
    throw Error(ErrorCode::kInternal,
                "compile: the buffer for " + to_string(external.port) + " is too small");
  Placement place{binding.buffer, binding.offset};
  place.type = external.type;
  if (external.stepped) {
    place.step = binding.step ? binding.step : bytes;
    place.last_step = int((binding.buffer->bytes() - binding.offset - bytes) / place.step);
  }
  return place;
}

}  // namespace

std::vector<Placement> place_tensors(const Plan& plan, Buffer& arena,
                                     const std::vector<Binding>& bindings, Type activation,
                                     Execution how) {
  if (bindings.size() != plan.externals().size())
    throw Error(ErrorCode::kInternal, "compile: " + std::to_string(bindings.size()) +
                                          " bindings for " +
                                          std::to_string(plan.externals().size()) + " externals");
  if (arena.bytes() < plan.arena_bytes(activation, how))
    throw Error(ErrorCode::kInternal, "compile: the arena is too small");
  int count = 0;
  const auto see = [&](const Tensor& tensor) { count = std::max(count, tensor.id + 1); };
  for (const Op& op : plan.ops()) {
    op.inputs(see);
    see(op.output());
  }
  std::vector<Placement> placements(count);
  for (int id = 0; id < count; ++id) {
    const int index = plan.external_index(id);
    placements[id] =
        index < 0 ? Placement{&arena, plan.offset(id, activation, how)}
                  : place_external(plan, plan.externals()[index], bindings[index], activation);
  }
  return placements;
}

void check_step(const std::vector<Placement>& placements, int step) {
  for (const Placement& place : placements)
    if (place.step && (step < 0 || step > place.last_step))
      throw Error(ErrorCode::kInternal, "run: step " + std::to_string(step) + " is out of range");
}

Labels labels_by_tensor(const Plan& plan) {
  Labels labels;
  for (const auto& [name, tensor] : plan.labels())
    if (tensor) labels.emplace(tensor.id, std::make_pair(name, tensor));
  return labels;
}

}  // namespace deepcache
