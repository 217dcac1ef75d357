#include "cuda/host/backend.h"

#include "cuda/host/program.h"

namespace deepcache::cuda {

void rethrow(const ApiError& error) { throw Error(ErrorCode(error.code), error.text); }

CudaMemory::CudaMemory(const Api& api, Context* context, size_t bytes)
    : api_(api), context_(context), bytes_(bytes) {
  call(api_.memory_create, context_, bytes, &data_);
}

CudaMemory::~CudaMemory() { api_.memory_destroy(context_, data_); }

void CudaMemory::upload(const void* source, size_t bytes, size_t offset) {
  if (bytes) call(api_.upload, context_, static_cast<void*>(data() + offset), source, bytes);
}

void CudaMemory::download(void* target, size_t bytes, size_t offset) const {
  if (bytes)
    call(api_.download, context_, target, static_cast<const void*>(data() + offset), bytes);
}

namespace {
void check_range(size_t offset, size_t bytes, size_t size) {
  if (offset > size || bytes > size - offset)
    throw Error(ErrorCode::kInternal, "buffer: bytes " + std::to_string(offset) + " to " +
                                          std::to_string(offset + bytes) + " of " +
                                          std::to_string(size));
}
}  // namespace

void CudaBuffer::upload(const void* source, size_t size, size_t offset) {
  check_range(offset, size, bytes());
  memory_.upload(source, size, offset);
}

void CudaBuffer::download(void* target, size_t size, size_t offset) const {
  check_range(offset, size, bytes());
  memory_.download(target, size, offset);
}

CudaBackend::CudaBackend(const Api& api, int device, ActivationType type)
    : api_(api), device_(device), type_(type) {
  call(api_.context_create, device, type, &context_);
}

CudaBackend::~CudaBackend() {
  device_values_.reset();
  api_.context_destroy(context_);
}

std::unique_ptr<Buffer> CudaBackend::allocate(size_t bytes) {
  return std::make_unique<CudaBuffer>(api_, context_, bytes);
}

std::unique_ptr<PackedWeight> CudaBackend::pack(const WeightSpec& spec,
                                                const std::vector<const SourceTensor*>& sources) {
  auto weight = std::make_unique<CudaWeight>(api_, context_, spec);
  repack(*weight, spec, sources);
  return weight;
}

void CudaBackend::repack(PackedWeight& target, const WeightSpec& spec,
                         const std::vector<const SourceTensor*>& sources) {
  const std::vector<char> values = cuda::pack(spec, sources, type_);
  static_cast<CudaWeight&>(target).memory.upload(values.data(), values.size(), 0);
}

std::unique_ptr<Program> CudaBackend::compile(const Plan& plan, Weights& weights, Buffer& arena,
                                              std::vector<Binding> bindings) {
  return std::make_unique<CudaProgram>(api_, context_, type_, plan, weights, arena, bindings);
}

double CudaBackend::time_end() {
  double seconds = 0;
  call(api_.time_end, context_, &seconds);
  return seconds;
}

void CudaBackend::synchronize() { call(api_.synchronize, context_); }

}  // namespace deepcache::cuda
