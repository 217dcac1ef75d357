#pragma once

// A GPU as one model's backend uses it: its properties, a stream, and the type of activations.

#include <functional>
#include <mutex>
#include <string>

#include "cuda/api.h"
#include "cuda/gpu.h"
#include "cuda/switches.h"
#include "cuda/tuning.h"

namespace deepcache::cuda {

// What kernels can find wrong in their inputs; the host looks when it synchronises.
constexpr int kBadToken = 1, kBadIndex = 2;

struct Context {
  // Throws Error(kBackendUnavailable) when the GPU is not there, too old or has no fp8,
  // Error(kInvalidArgument) for what the environment cannot ask.
  Context(int device, ActivationType type, bool fp8);
  ~Context();
  Context(const Context&) = delete;

  // Makes the device the calling thread's: jobs run on threads of their own.
  void enter() const { gpu::use_device(device); }
  // Waits, and throws what kernels found wrong.
  void synchronize();

  // Calls launch(), and says whose launch it was when that fails: name(). With
  // Switches::synchronous waits for it, so that a kernel's fault has a name as well.
  template <typename Name, typename Launch>
  void run(const Name& name, const Launch& launch) const {
    try {
      launch();
      if (switches.synchronous) gpu::synchronize(stream);
    } catch (const Error& error) {
      throw Error(error.code(), std::string(name()) + ": " + error.what());
    }
  }
  // A graph of what `enqueue` launches, of grids that overlap where the GPU and the driver can.
  gpu::Graph record(const std::function<void(Stream)>& enqueue);
  // For reports, in lines: the features in use, those that are disabled, and what else runs
  // otherwise than it should.
  std::string describe() const;

  const int device;
  const ActivationType type;
  const Switches switches;
  gpu::Properties properties;
  Stream stream{};
  Tuning tuning;
  gpu::Memory fault;      // an int: kBadToken ...
  gpu::Event begin, end;  // of what is timed

 private:
  mutable std::mutex mutex_;  // of what follows, and of reading `fault`
  std::string lost_overlap_;  // why a graph has none
};

}  // namespace deepcache::cuda
