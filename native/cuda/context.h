#pragma once

// A GPU as one model's backend uses it: its properties, a stream, and the type of activations.

#include <mutex>

#include "cuda/api.h"
#include "cuda/gpu.h"
#include "cuda/tuning.h"

namespace deepcache::cuda {

// What kernels can find wrong in their inputs; the host looks when it synchronises.
constexpr int kBadToken = 1, kBadIndex = 2;

struct Context {
  // Throws Error(kBackendUnavailable) when the GPU is not there or too old.
  Context(int device, ActivationType type);
  ~Context();
  Context(const Context&) = delete;

  // Makes the device the calling thread's: jobs run on threads of their own.
  void enter() const { gpu::use_device(device); }
  // Waits, and throws what kernels found wrong.
  void synchronize();

  const int device;
  const ActivationType type;
  gpu::Properties properties;
  Stream stream{};
  Tuning tuning;
  gpu::Memory fault;      // an int: kBadToken ...
  gpu::Event begin, end;  // of what is timed
};

}  // namespace deepcache::cuda
