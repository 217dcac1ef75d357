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

[[noreturn]] void refuse_fp8(const gpu::Properties& properties) {
  throw Error(ErrorCode::kBackendUnavailable,
              properties.name + " (sm_" + std::to_string(10 * properties.major + properties.minor) +
                  ") does not multiply by fp8: Ada (sm_89), Hopper (sm_90) and newer do, by code "
                  "built for them; choose 'fp16' or 'bf16'");
}

}  // namespace

Context::Context(int device, ActivationType type, bool fp8)
    : device(device),
      type(type),
      switches(Switches::from_environment()),
      properties(check_device(device)) {
  enter();
  stream = gpu::make_stream();
  fault = gpu::Memory(sizeof(int));
  gpu::fill(fault.data(), 0, sizeof(int), stream);
  probe_code(properties, stream);
  if (fp8 && !properties.fp8) {
    gpu::destroy(stream);
    refuse_fp8(properties);
  }
  switches.apply(properties);
  if (properties.hopper && switches.allows("odd_v")) probe_odd_transposed(properties, stream);
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
  const std::lock_guard lock(mutex_);  // so that one thread alone finds it
  int found = 0;
  gpu::download(&found, fault.data(), sizeof found, stream);
  if (!found) return;
  gpu::fill(fault.data(), 0, sizeof found, stream);
  throw Error(ErrorCode::kInvalidArgument, found == kBadToken
                                               ? "a token id is outside of the vocabulary"
                                               : "a token outside of its sequence was picked");
}

gpu::Graph Context::record(const std::function<void(Stream)>& enqueue) {
  if (properties.overlap) {
    try {
      return gpu::Graph(true, enqueue);
    } catch (const Error& error) {
      // Not every driver records launches that overlap for every GPU.
      const std::lock_guard lock(mutex_);
      lost_overlap_ = error.what();
    }
  }
  return gpu::Graph(false, enqueue);
}

std::string Context::describe() const {
  std::string text = "features in use: " + features_in_use(properties);
  if (!switches.disabled.empty())
    text += "\ndisabled by DEEPCACHE_CUDA_DISABLE: " + switches.disabled;
  if (switches.synchronous) text += "\nDEEPCACHE_CUDA_SYNC: every op is waited for, without graphs";
  const std::lock_guard lock(mutex_);
  if (!lost_overlap_.empty())
    text += "\na graph's kernels do not overlap, since recording them failed: " + lost_overlap_;
  return text;
}

}  // namespace deepcache::cuda
