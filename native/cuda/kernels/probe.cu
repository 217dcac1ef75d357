// Which of the library's code a GPU runs: built for the GPU itself, or PTX of an older architecture
// that the driver compiled. Kernels that need newer instructions are empty in older code, so a
// GPU's own version does not say whether they can be used.

#include "cuda/kernels/probe.h"

namespace deepcache::cuda {
namespace {

struct Code {
  int architecture, sm90a;
};

// version: of the GPU, whose own code an emulated one always runs.
__global__ void probe_kernel(Code* out, [[maybe_unused]] int version) {
  wait_for_previous_grid();
#if defined(__CUDA_ARCH__)
  *out = {__CUDA_ARCH__ / 10, DEEPCACHE_SM90A};
#else
  *out = {version, version == 90};
#endif
}

}  // namespace

void probe_code(gpu::Properties& properties, Stream stream) {
  const gpu::Memory memory(sizeof(Code));
  gpu::launch(probe_kernel, dim3(1), dim3(1), 0, stream, reinterpret_cast<Code*>(memory.data()),
              properties.major * 10 + properties.minor);
  Code found{};
  gpu::download(&found, memory.data(), sizeof found, stream);
  properties.overlap = found.architecture >= 90;
  properties.clusters &= properties.overlap;
  properties.hopper = found.sm90a != 0;
  properties.fp8 = found.architecture >= 89;
}

}  // namespace deepcache::cuda
