#include "shared_limit.h"

#include <map>
#include <mutex>
#include <utility>

#include "stream.h"

namespace deepcache::emulator {
namespace {

std::mutex mutex;
std::map<std::pair<const void*, int>, size_t> allowed;  // by kernel and device

}  // namespace

void allow_shared_memory(const void* kernel, size_t bytes) {
  const std::lock_guard lock(mutex);
  allowed[{kernel, used_device()}] = bytes;
}

size_t allowed_shared_memory(const void* kernel) {
  const std::lock_guard lock(mutex);
  const auto found = allowed.find({kernel, used_device()});
  return found == allowed.end() ? kDefaultSharedBytes : found->second;
}

void forget_allowed_shared_memory() {
  const std::lock_guard lock(mutex);
  allowed.clear();
}

}  // namespace deepcache::emulator
