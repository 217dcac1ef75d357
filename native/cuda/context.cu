#include "cuda/context.h"
#include "cuda/kernels/probe.h"

namespace deepcache::cuda {
namespace {

gpu::Properties check_device(int device) {
  const int count = gpu::device_count();
  if (device < 0 || device >= count)
    throw Error(ErrorCode::kBackendUnavailable, "there is no GPU " + std::to_string(device) +
                                                    "; this machine has " + std::to_string(count));
  const gpu::Properties properties = gpu::properties(device);
  if (properties.major < 8)
    throw Error(ErrorCode::kBackendUnavailable,
                "the GPU is too old: " + properties.name + " has compute capability " +
                    std::to_string(properties.major) + "." + std::to_string(properties.minor) +
                    ", 8.0 (Ampere) or newer is needed");
  return properties;
}

}  // namespace

Context::Context(int device, ActivationType type)
    : device(device), type(type), properties(check_device(device)) {
  enter();
  stream = gpu::make_stream();
  fault = gpu::Memory(sizeof(int));
  gpu::fill(fault.data(), 0, sizeof(int), stream);
  probe_code(properties, stream);
  if (properties.hopper) probe_odd_transposed(properties, stream);
  if (properties.overlap) gpu::allow_overlap(stream);
}

Context::~Context() {
  try {
    enter();
    gpu::synchronize(stream);
  } catch (const Error&) {  // it ends either way
  }
  gpu::destroy(stream);
}

void Context::synchronize() {
  int found = 0;
  gpu::download(&found, fault.data(), sizeof found, stream);
  if (!found) return;
  gpu::fill(fault.data(), 0, sizeof found, stream);
  throw Error(ErrorCode::kInvalidArgument, found == kBadToken
                                               ? "a token id is outside of the vocabulary"
                                               : "a token outside of its sequence was picked");
}

}  // namespace deepcache::cuda
