#pragma once

// Plans run by the CPU backend in one way or another.

#include <bit>
#include <cmath>
#include <cstring>
#include <map>
#include <memory>

#include "cpu/backend.h"
#include "test.h"
#include "test/ops/op_cases.h"

// The kernels of AMX with a reference of its instructions: amx_reference.cc.
namespace deepcache::cpu::amx_reference {
extern const Bf16Kernels bf16_kernels;
}

namespace deepcache::test {

inline cpu::Kernels amx_by_reference() {
  cpu::Kernels kernels = *cpu::find_kernels("baseline");
  kernels.bf16 = &cpu::amx_reference::bf16_kernels;
  return kernels;
}

constexpr const char* kIsas[] = {"baseline", "avx2", "avx512", "avx512_bf16", "amx", "neon_bf16"};

// The nearest value of 8 bits; of two that are as near, the even one.
inline float nearest_bf16(float x) {
  if (std::isnan(x) || std::isinf(x)) return x;
  if (std::fabs(x) < 0x1p-126f) return std::copysign(0.0f, x);
  const uint32_t bits = std::bit_cast<uint32_t>(x) & 0xffff0000;
  const float low = std::bit_cast<float>(bits), high = std::bit_cast<float>(bits + 0x10000);
  // Beyond the largest value, the next one would be 2^128.
  const double next = std::isinf(high) ? std::copysign(0x1p128, x) : double(high);
  const double below = std::fabs(double(x) - low), above = std::fabs(next - x);
  if (below != above) return below < above ? low : high;
  return bits & 0x10000 ? high : low;
}

template <Execution How>
class BackendThat : public cpu::CpuBackend {
 public:
  using CpuBackend::CpuBackend;
  Execution execution() const override { return How; }
};
using PlainBackend = BackendThat<Execution::op_by_op>;
using FusedBackend = BackendThat<Execution::fused>;

using Values = std::map<std::string, std::vector<float>>;

// The output and all labelled values. An arena holds no numbers at first.
inline Values run(Backend& backend, const Plan& plan, std::shared_ptr<WeightSource> source,
                  const std::map<int, std::vector<float>>& inputs) {
  Weights weights(std::move(source), backend);
  std::vector<std::unique_ptr<Buffer>> buffers;
  std::vector<Binding> bindings;
  for (const External& external : plan.externals()) {
    buffers.push_back(backend.allocate(plan.external_bytes(external, backend.activation_type())));
    bindings.push_back({buffers.back().get()});
    const auto found = inputs.find(external.tensor);
    if (found != inputs.end())
      buffers.back()->upload(found->second.data(), found->second.size() * sizeof(float));
  }
  const auto arena = backend.allocate(backend.arena_bytes(plan));
  const std::vector<char> nans(arena->bytes(), char(0xff));
  arena->upload(nans.data(), nans.size());
  Values out;
  const Tap tap = [&](const std::string& label, const Shape& shape, const float* values) {
    out[label].assign(values, values + shape.count());
  };
  backend.compile(plan, weights, *arena, bindings)->run(0, nullptr, &tap);
  std::vector<float>& last = out["output"];
  last.resize(buffers.back()->bytes() / sizeof(float));
  buffers.back()->download(last.data(), buffers.back()->bytes());
  return out;
}

inline void check_same(const Values& a, const Values& b) {
  CHECK_EQ(a.size(), b.size());
  for (const auto& [name, values] : a) {
    const std::vector<float>& other = b.at(name);
    CHECK_EQ(values.size(), other.size());
    for (const float value : values) CHECK(value == value);
    CHECK(std::memcmp(values.data(), other.data(), values.size() * sizeof(float)) == 0);
  }
}

// Outputs of 1x1 convolutions that lie where their inputs did.
inline int count_over_inputs(const Plan& plan, Execution how) {
  int count = 0;
  for (const Op& op : plan.ops()) {
    if (op.kind != OpKind::conv || op.conv.residual) continue;
    const int x = op.conv.x.id, y = op.conv.y.id;
    count += plan.external_index(x) < 0 && plan.external_index(y) < 0 &&
             plan.offset(x, Type::f32, how) == plan.offset(y, Type::f32, how);
  }
  return count;
}

}  // namespace deepcache::test
