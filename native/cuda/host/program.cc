#include "cuda/host/program.h"

namespace deepcache::cuda {
CudaProgram::CudaProgram(const Api& api, Context* context, ActivationType type, const Plan& plan,
                         const std::vector<WeightSpec>& specs, Weights& weights, Buffer& arena,
                         const std::vector<Binding>& bindings)
    : Program(plan), api_(api), context_(context), type_(type), labels_(labels_by_tensor(plan)) {
  for (const Op& op : plan.ops()) outputs_.push_back(op.output());
  for (const Placement& place : place_tensors(plan, arena, bindings, Type::f16)) {
    const int id = int(places_.size());
    const size_t bytes = plan.shape(id).count() * bytes_of(place.type, Type::f16);
    places_.push_back({static_cast<CudaBuffer&>(*place.buffer).data() + place.offset, bytes,
                       place.step, place.last_step, place.type});
  }
  std::vector<WeightPlace> packed;
  for (const WeightSpec& spec : specs)
    packed.push_back(static_cast<const CudaWeight&>(weights.get(spec)).place);
  const ProgramSpec spec{plan.ops().data(),   int(plan.ops().size()), places_.data(),
                         int(places_.size()), packed.data(),          int(packed.size())};
  call(api_.program_create, context_, &spec, &handle_);
}

CudaProgram::~CudaProgram() { api_.program_destroy(handle_); }

void CudaProgram::run_ops(OpRange ops, int step, const CancelFlag* cancel, const Tap* tap) {
  check_cancelled(cancel);
  if (tap && *tap) return run_tapped(ops, step, cancel, *tap);
  call(api_.program_run, handle_, step, ops.first, ops.last);
}

void CudaProgram::run_tapped(OpRange ops, int step, const CancelFlag* cancel, const Tap& tap) {
  for (int i = ops.first; i < ops.last; i++) {
    check_cancelled(cancel);
    call(api_.program_run, handle_, step, i, i + 1);
    const auto [first, last] = labels_.equal_range(outputs_[size_t(i)].id);
    for (auto it = first; it != last; ++it) {
      const auto& [name, tensor] = it->second;
      const TensorPlace& place = places_[tensor.id];
      const char* data = static_cast<const char*>(place.data);
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
