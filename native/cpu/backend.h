#pragma once

#include "cpu/op.h"
#include "runtime/memory.h"

namespace deepcache::cpu {

class CpuBackend : public Backend {
 public:
  CpuBackend(int threads, const Kernels& kernels, Products products = Products::fp32)
      : kernels_(kernels), products_(products), pool_(threads) {}

  std::string name() const override { return "cpu"; }
  Type activation_type() const override { return Type::f32; }
  // Products of e4m3 need a whole input's largest value before they begin.
  Execution execution() const override {
    return products_ == Products::fp8    ? Execution::op_by_op
           : products_ == Products::bf16 ? Execution::mixed
                                         : Execution::fused;
  }
  bool fp8() const override { return products_ == Products::fp8; }
  size_t available_memory() const override { return deepcache::available_memory(); }
  std::unique_ptr<Buffer> allocate(size_t bytes) override;
  std::unique_ptr<PackedWeight> pack(const WeightSpec& spec,
                                     const std::vector<const SourceTensor*>& sources) override;
  void repack(PackedWeight& target, const WeightSpec& spec,
              const std::vector<const SourceTensor*>& sources) override;
  size_t packed_bytes(const WeightSpec& spec) const override;
  std::unique_ptr<Program> compile(const Plan& plan, Weights& weights, Buffer& arena,
                                   std::vector<Binding> bindings) override;
  std::unique_ptr<Loop> make_loop() override;
  void synchronize() override {}

  const Kernels& kernels() const { return kernels_; }
  Products products() const { return products_; }
  ThreadPool& pool() { return pool_; }

 private:
  const Kernels& kernels_;
  const Products products_;
  ThreadPool pool_;
};

}  // namespace deepcache::cpu
