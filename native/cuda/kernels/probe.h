#pragma once

#include "cuda/gpu.h"

namespace deepcache::cuda {

// Sets what the current GPU can do: properties.clusters, overlap, hopper. Waits for it.
void probe_code(gpu::Properties& properties, Stream stream);
// Sets properties.odd_transposed_v, on a GPU that runs sm_90a code (probe_sm90.cu). Waits for it.
void probe_odd_transposed(gpu::Properties& properties, Stream stream);

}  // namespace deepcache::cuda
