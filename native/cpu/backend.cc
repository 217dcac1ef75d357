#include "cpu/backend.h"

#include "cpu/loop.h"
#include "cpu/program.h"

namespace deepcache {

std::unique_ptr<Backend> make_cpu_backend(int threads, Products products) {
  const cpu::Kernels& kernels = cpu::choose_kernels(products == Products::bf16);
  return std::make_unique<cpu::CpuBackend>(threads, kernels, products);
}

const char* to_string(Products products) {
  return products == Products::bf16 ? "bf16" : products == Products::fp8 ? "fp8" : "fp32";
}

namespace cpu {

std::unique_ptr<Buffer> CpuBackend::allocate(size_t bytes) {
  return std::make_unique<CpuBuffer>(bytes);
}

std::unique_ptr<PackedWeight> CpuBackend::pack(const WeightSpec& spec,
                                               const std::vector<const SourceTensor*>& sources) {
  auto weight = std::make_unique<CpuWeight>(spec, kernels_, products_);
  cpu::pack(*weight, spec, sources, kernels_, pool_);
  return weight;
}

void CpuBackend::repack(PackedWeight& target, const WeightSpec& spec,
                        const std::vector<const SourceTensor*>& sources) {
  cpu::pack(static_cast<CpuWeight&>(target), spec, sources, kernels_, pool_);
}

size_t CpuBackend::packed_bytes(const WeightSpec& spec) const {
  return cpu::packed_bytes(spec, kernels_, products_);
}

std::unique_ptr<Program> CpuBackend::compile(const Plan& plan, Weights& weights, Buffer& arena,
                                             std::vector<Binding> bindings) {
  return std::make_unique<CpuProgram>(plan, weights, arena, bindings, *this);
}

std::unique_ptr<Loop> CpuBackend::make_loop() { return std::make_unique<CpuLoop>(); }

}  // namespace cpu
}  // namespace deepcache
