#pragma once

#include "cuda/gpu.h"

namespace deepcache::cuda {

// Sets what the current GPU can do: properties.clusters, overlap, hopper. Waits for it.
void probe_code(gpu::Properties& properties, Stream stream);

}  // namespace deepcache::cuda
