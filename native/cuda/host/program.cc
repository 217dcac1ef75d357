#include "cuda/host/program.h"

#include <algorithm>

namespace deepcache::cuda {
namespace {

TensorPlace place_external(const Plan& plan, int id, const External& external,
                           const Binding& binding) {
  if (external.type == Type::f16 || external.type == Type::bf16)
    throw Error(ErrorCode::kInternal, "compile: " + external.name + " has a type of files");
  const size_t bytes = plan.external_bytes(external, Type::f16);
  if (!binding.buffer || binding.offset + bytes > binding.buffer->bytes())
    throw Error(ErrorCode::kInternal, "compile: the buffer for " + external.name + " is too small");
  TensorPlace place;
  place.data = static_cast<CudaBuffer&>(*binding.buffer).data() + binding.offset;
  place.type = external.type == Type::activation ? Type::f16 : external.type;
  if (external.stepped) {
    place.step = binding.step ? binding.step : bytes;
    place.last_step = int((binding.buffer->bytes() - binding.offset - bytes) / place.step);
  }
  return place;
}

}  // namespace

CudaProgram::CudaProgram(const Api& api, Context* context, ActivationType type, const Plan& plan,
                         Weights& weights, Buffer& arena, const std::vector<Binding>& bindings)
    : api_(api), context_(context), type_(type) {
  if (bindings.size() != plan.externals().size())
    throw Error(ErrorCode::kInternal, "compile: " + std::to_string(bindings.size()) +
                                          " bindings for " +
                                          std::to_string(plan.externals().size()) + " externals");
  if (arena.bytes() < plan.arena_bytes(Type::f16))
    throw Error(ErrorCode::kInternal, "compile: the arena is too small");

  int count = 0;
  const auto see = [&](const Tensor& tensor) { count = std::max(count, tensor.id + 1); };
  for (const Op& op : plan.ops()) {
    op.inputs(see);
    see(op.output());
    outputs_.push_back(op.output());
  }
  places_.resize(count);
  for (int id = 0; id < count; id++) {
    const int index = plan.external_index(id);
    if (index < 0)
      places_[id].data = static_cast<CudaBuffer&>(arena).data() + plan.offset(id, Type::f16);
    else
      places_[id] = place_external(plan, id, plan.externals()[index], bindings[index]);
  }
  std::vector<WeightPlace> packed;
  for (const WeightSpec& spec : plan.weights())
    packed.push_back(static_cast<const CudaWeight&>(weights.get(spec)).place);
  for (const auto& [name, tensor] : plan.labels())
    if (tensor) labels_.emplace(tensor.id, std::make_pair(name, tensor));

  const ProgramSpec spec{plan.ops().data(), int(plan.ops().size()), places_.data(), count,
                         packed.data(),     int(packed.size())};
  call(api_.program_create, context_, &spec, &handle_);
}

CudaProgram::~CudaProgram() { api_.program_destroy(handle_); }

void CudaProgram::run(int step, const CancelFlag* cancel, const Tap* tap) {
  if (cancel && *cancel) throw Error(ErrorCode::kAborted, "aborted");
  if (tap && *tap) return run_tapped(step, cancel, *tap);
  call(api_.program_run, handle_, step, 0, int(outputs_.size()));
}

void CudaProgram::run_tapped(int step, const CancelFlag* cancel, const Tap& tap) {
  for (size_t i = 0; i < outputs_.size(); i++) {
    if (cancel && *cancel) throw Error(ErrorCode::kAborted, "aborted");
    call(api_.program_run, handle_, step, int(i), int(i) + 1);
    const auto [first, last] = labels_.equal_range(outputs_[i].id);
    for (auto it = first; it != last; ++it) {
      const auto& [name, tensor] = it->second;
      const TensorPlace& place = places_[tensor.id];
      const char* data = static_cast<const char*>(place.data) + place.step * size_t(step);
      std::vector<float> values(tensor.shape.count());
      if (place.type == Type::f32) {
        call(api_.download, context_, static_cast<void*>(values.data()),
             static_cast<const void*>(data), values.size() * sizeof(float));
      } else {
        std::vector<uint16_t> bits(values.size());
        call(api_.download, context_, static_cast<void*>(bits.data()),
             static_cast<const void*>(data), bits.size() * sizeof(uint16_t));
        for (size_t j = 0; j < bits.size(); j++) values[j] = widen(bits[j], type_);
      }
      tap(name, tensor.shape, values.data());
    }
  }
}

std::vector<std::string> CudaProgram::kernels() const {
  std::vector<std::string> out;
  for (size_t i = 0; i < outputs_.size(); i++)
    out.emplace_back(api_.program_kernel(handle_, int(i)));
  return out;
}

}  // namespace deepcache::cuda
