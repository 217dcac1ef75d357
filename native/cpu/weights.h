#pragma once

#include "cpu/buffer.h"
#include "cpu/kernels.h"
#include "cpu/thread_pool.h"
#include "runtime/backend.h"
#include "runtime/weights.h"

namespace deepcache::cpu {

// fp32 values; those of e4m3 are what the codes stand for. Matrices lie in panels of as many
// outputs as the register tile is wide: [panel][k][kernels.panel], zeros where there is no output;
// k runs over taps, then channels. geglu: a panel holds one vector of values and one of gates.
// upsample: k runs over the phases (y odd, x odd) of the output, their 2x2 taps, then channels.
// Matrices of bf16 hold pairs of k, [panel][k / 2][kernels.panel][2], and zeros behind a tap's
// channels up to whole tiles (kBf16Depth).
class CpuWeight : public PackedWeight {
 public:
  CpuWeight(const WeightSpec& spec, const Kernels& kernels, Products products);
  size_t bytes() const override { return values.bytes(); }

  const Bf16* bf16() const { return reinterpret_cast<const Bf16*>(values.data()); }

  Recipe recipe;
  Products products;
  int panels = 0;
  size_t k = 0;  // rows of a panel
  Memory values;
};

// What CpuWeight will take.
size_t packed_bytes(const WeightSpec& spec, const Kernels& kernels, Products products);

// Fills `weight` from the spec's tensors, in parallel, reading each once.
void pack(CpuWeight& weight, const WeightSpec& spec,
          const std::vector<const SourceTensor*>& sources, const Kernels& kernels,
          ThreadPool& pool);

}  // namespace deepcache::cpu
