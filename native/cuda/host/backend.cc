#include "cuda/host/backend.h"

#include <algorithm>

#include "cuda/host/loop.h"
#include "cuda/host/program.h"
#include "runtime/folds.h"

namespace deepcache::cuda {

void rethrow(const ApiError& error) { throw Error(ErrorCode(error.code), error.text); }

CudaMemory::CudaMemory(const Api& api, Context* context, size_t bytes)
    : api_(api), context_(context), bytes_(bytes) {
  call(api_.memory_create, context_, bytes, &data_);
}

CudaMemory::~CudaMemory() { api_.memory_destroy(context_, data_); }

void CudaMemory::upload(const void* source, size_t bytes, size_t offset) {
  call(api_.upload, context_, static_cast<void*>(data() + offset), source, bytes);
}

void CudaMemory::download(void* target, size_t bytes, size_t offset) const {
  call(api_.download, context_, target, static_cast<const void*>(data() + offset), bytes);
}

void CudaMemory::copy(const CudaMemory& source, size_t bytes, size_t offset, size_t source_offset) {
  call(api_.copy, context_, static_cast<void*>(data() + offset),
       static_cast<const void*>(source.data() + source_offset), bytes);
}

namespace {
DeviceInfo info_of(const Api& api, int device) {
  DeviceInfo info;
  call(api.device_info, device, &info);
  return info;
}
}  // namespace

CudaBackend::CudaBackend(const Api& api, int device, ActivationType type, bool fp8)
    : api_(api), device_(device), type_(type), fp8_(fp8), tuning_file_(api, info_of(api, device)) {
  call(api_.context_create, device, type, fp8, &context_);
  set_tuning(tuning_file_.read(), tuning_is_asked_for());
}

CudaBackend::~CudaBackend() { api_.context_destroy(context_); }

size_t CudaBackend::available_memory() const {
  DeviceInfo info;
  call(api_.device_info, device_, &info);
  return info.free_bytes;
}

std::unique_ptr<Buffer> CudaBackend::allocate(size_t bytes) {
  return std::make_unique<CudaBuffer>(api_, context_, bytes);
}

std::unique_ptr<PackedWeight> CudaBackend::pack(const WeightSpec& spec,
                                                const std::vector<const SourceTensor*>& sources) {
  auto weight = std::make_unique<CudaWeight>(api_, context_, spec, fp8_);
  repack(*weight, spec, sources);
  return weight;
}

void CudaBackend::repack(PackedWeight& target, const WeightSpec& spec,
                         const std::vector<const SourceTensor*>& sources) {
  auto& weight = static_cast<CudaWeight&>(target);
  const std::vector<char> values =
      weight.place.fp8 ? pack_fp8(spec, sources) : cuda::pack(spec, sources, type_);
  weight.memory.upload(values.data(), values.size(), 0);
}

std::vector<WeightSpec> CudaBackend::weights_of(const Plan& plan) const {
  std::vector<WeightSpec> specs = plan.weights();
  if (!api_.context_folds(context_)) return specs;
  for (const Op& op : plan.ops())
    if (op.kind == OpKind::conv && is_folded(op.conv, plan.weights(), fp8_))
      specs[op.conv.weight] = folded_spec(plan.ops(), plan.weights(), op.conv);
  return specs;
}

std::unique_ptr<Program> CudaBackend::compile(const Plan& plan, Weights& weights, Buffer& arena,
                                              std::vector<Binding> bindings) {
  const std::string before = measures_ ? tuning() : "";
  auto program = std::make_unique<CudaProgram>(api_, context_, type_, plan, weights_of(plan),
                                               weights, arena, bindings);
  if (measures_ && tuning() != before) {
    try {
      tuning_file_.write(tuning());
    } catch (const Error&) {  // a folder that cannot be written costs measuring again, not the run
    }
  }
  return program;
}

std::unique_ptr<Loop> CudaBackend::make_loop() {
  return std::make_unique<CudaLoop>(api_, context_);
}

double CudaBackend::time_end() {
  double seconds = 0;
  call(api_.time_end, context_, &seconds);
  return seconds;
}

void CudaBackend::set_tuning(const std::string& text, bool measures) {
  measures_ = measures;
  call(api_.tuning_set, context_, text.c_str(), measures);
}

std::string CudaBackend::read_text(ReadText* read) const {
  size_t size = 0;
  call(read, context_, static_cast<char*>(nullptr), size_t(0), &size);
  std::string text(size, 0);
  call(read, context_, text.data(), text.size(), &size);
  text.resize(std::min(size, text.size()));  // it may have changed between the two
  return text;
}

std::string CudaBackend::tuning() const { return read_text(api_.tuning_get); }
std::string CudaBackend::describe() const { return read_text(api_.context_describe); }

void CudaBackend::synchronize() { call(api_.synchronize, context_); }

}  // namespace deepcache::cuda
