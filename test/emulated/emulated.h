#pragma once

// The CUDA backend on the emulator: the same sources as libdeepcache_cuda.so, compiled by an
// ordinary compiler (native/emulator/README.md).

#include <memory>
#include <string>

#include "cuda/host/backend.h"
#include "emulator/options.h"

namespace deepcache::test {

using cuda::ActivationType;

// The emulated GPUs, by device number.
constexpr int kSm80 = 0, kSm86 = 1, kSm90 = 2, kSm89 = 3;

inline std::unique_ptr<Backend> emulated_backend(int device, ActivationType type,
                                                 bool fp8 = false) {
  return std::make_unique<cuda::CudaBackend>(*deepcache_cuda_api(), device, type, fp8);
}

inline const char* name_of(ActivationType type) {
  return type == ActivationType::fp16 ? "fp16" : "bf16";
}

// The emulator's options while it lives.
class Emulation {
 public:
  Emulation(uint64_t seed, emulator::Async async, int resident = 1) : before_(emulator::options) {
    emulator::options.seed = seed;
    emulator::options.async = async;
    emulator::options.resident = resident;
  }
  ~Emulation() { emulator::options = before_; }

 private:
  emulator::Options before_;
};

}  // namespace deepcache::test
