#pragma once

#include "cpu/buffer.h"
#include "cpu/kernels.h"
#include "cpu/thread_pool.h"
#include "runtime/weights.h"

namespace deepcache::cpu {

// fp32 values; those of e4m3 are what the codes stand for. Matrices lie in panels of as many
// outputs as the register tile is wide: [panel][k][kernels.panel], zeros where there is no output;
// k runs over taps, then channels. geglu: a panel holds one vector of values and one of gates.
// upsample: k runs over the phases (y odd, x odd) of the output, their 2x2 taps, then channels.
class CpuWeight : public PackedWeight {
 public:
  CpuWeight(const WeightSpec& spec, const Kernels& kernels, bool fp8);
  size_t bytes() const override { return values.bytes(); }

  Recipe recipe;
  bool fp8;
  int panels = 0;
  size_t k = 0;  // rows of a panel
  Memory values;
};

// What CpuWeight will take.
size_t packed_bytes(const WeightSpec& spec, const Kernels& kernels);

// Fills `weight` from the spec's tensors, in parallel, reading each once.
void pack(CpuWeight& weight, const WeightSpec& spec,
          const std::vector<const SourceTensor*>& sources, const Kernels& kernels,
          ThreadPool& pool);

}  // namespace deepcache::cpu
