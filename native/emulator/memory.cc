#include "memory.h"

#include <sys/mman.h>

#include <cstring>
#include <map>
#include <mutex>

#include "dry_run.h"
#include "fiber.h"
#include "launch.h"
#include "options.h"
#include "stream.h"

namespace deepcache::emulator {
namespace {

constexpr size_t kPage = 4096;

struct Range {
  size_t bytes;
  char* map;
  size_t map_bytes;
  int device;
  bool constant = false;
};

std::map<char*, Range>& buffers() {
  static std::map<char*, Range> all;
  return all;
}

// The buffer that ends behind the address, or the last before it.
Range* range_of(const void* data) {
  auto after = buffers().upper_bound(static_cast<char*>(const_cast<void*>(data)));
  return after == buffers().begin() ? nullptr : &(--after)->second;
}

void protect_buffers(int protection) {
  for (const auto& [data, range] : buffers())
    if (!range.constant) mprotect(range.map, range.map_bytes - kPage, protection);
}

// Addresses, as much aligned as a GPU's.
void* reserve(size_t bytes) {
  constexpr size_t kAlignment = 256;
  const size_t size = (kAlignment + bytes + kPage - 1) / kPage * kPage;
  void* map = mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (map == MAP_FAILED) return nullptr;
  char* const first = static_cast<char*>(map);
  buffers()[first + kAlignment] = {bytes, first, size, used_device()};
  return first + kAlignment;
}

}  // namespace

bool memory_closed = false;

void open_memory() {
  if (!memory_closed) return;
  memory_closed = false;
  protect_buffers(PROT_READ | PROT_WRITE);
}

void guard_memory() {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  if (current->ordered) return open_memory();
  if (memory_closed) return;
  memory_closed = true;
  protect_buffers(PROT_NONE);
#endif
}

void mark_constant(const void* data) {
  const std::lock_guard lock(grid_mutex);
  if (Range* range = range_of(data)) range->constant = true;
}

bool is_constant(const void* data) {
  const Range* range = range_of(data);
  return range && range->constant;
}

bool is_closed(const void* data) {
  if (!memory_closed) return false;
  for (const auto& [first, range] : buffers())
    if (data >= range.map && data < range.map + range.map_bytes - kPage) return !range.constant;
  return false;
}

void* allocate(size_t bytes) {
  const std::lock_guard lock(grid_mutex);
  if (bytes > free_bytes() || statistics.allocations++ >= options.failing_allocation)
    return nullptr;
  if (dry_run) return reserve(bytes);
  const size_t used = (bytes + 15) / 16 * 16, pages = (used + kPage - 1) / kPage * kPage;
  void* map =
      mmap(nullptr, pages + kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (map == MAP_FAILED) return nullptr;
  char* const first = static_cast<char*>(map);
  mprotect(first + pages, kPage, PROT_NONE);
  char* const data = first + pages - used;
  std::memset(data, 0xff, used);
  buffers()[data] = {bytes, first, pages + kPage, used_device(), false};
  return data;
}

void release(void* data) {
  if (!data) return;
  finish_all();
  const std::lock_guard lock(grid_mutex);
  const auto found = buffers().find(static_cast<char*>(data));
  munmap(found->second.map, found->second.map_bytes);
  buffers().erase(found);
}

bool in_global(const void* data, size_t bytes) {
  char* const first = static_cast<char*>(const_cast<void*>(data));
  auto after = buffers().upper_bound(first);
  if (after == buffers().begin()) return false;
  --after;
  return first + bytes <= after->first + after->second.bytes;
}

size_t free_bytes() {
  size_t used = options.taken_bytes;
  for (const auto& [data, range] : buffers())
    if (range.device == used_device()) used += range.bytes;
  return used < options.memory_bytes ? options.memory_bytes - used : 0;
}

size_t allocated_bytes() {
  size_t bytes = 0;
  for (const auto& [data, range] : buffers()) bytes += range.bytes;
  return bytes;
}

}  // namespace deepcache::emulator
