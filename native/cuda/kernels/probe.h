#pragma once

#include "cuda/gpu.h"

namespace deepcache::cuda {

// Sets properties.clusters and properties.hopper for the current GPU. Waits for it.
void probe_code(gpu::Properties& properties, Stream stream);

}  // namespace deepcache::cuda
