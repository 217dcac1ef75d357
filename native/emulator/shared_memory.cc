#include "shared_memory.h"

#include <cstdint>
#include <cstring>

#include "scheduler.h"
#include "shared_limit.h"

namespace deepcache::emulator {

char* dynamic_shared() { return current->block->shared; }

char* static_shared(const char* file, int line, size_t bytes, size_t align) {
  Internal internal;
  Block& block = *current->block;
  char*& data = block.statics[{file, line}];
  if (data) return data;
  // At a multiple of `align` and of nothing more, since CUDA promises no more.
  const uintptr_t end = reinterpret_cast<uintptr_t>(block.shared) - block.static_extent;
  const uintptr_t place = (end - bytes) / align * align;
  data = reinterpret_cast<char*>(place / align % 2 ? place : place - align);
  block.static_extent = size_t(block.shared - data);
  block.static_bytes = (block.static_bytes + align - 1) / align * align + bytes;
  if (block.static_bytes > kDefaultSharedBytes)
    fail(file, line, "%zu bytes of static shared memory, a kernel may have %zu", block.static_bytes,
         kDefaultSharedBytes);
  if (block.static_bytes + block.shared_bytes > block.shared_limit)
    fail(file, line,
         "%zu bytes of static and %zu of dynamic shared memory, the kernel's launches may have %zu",
         block.static_bytes, block.shared_bytes, block.shared_limit);
  return data;
}

void require_shared(const void* data, size_t bytes, size_t align, const char* what,
                    const char* file, int line) {
  const Block& block = *current->block;
  const char* const first = static_cast<const char*>(data);
  const long offset = long(first - block.shared);
  if (first < block.shared - block.static_extent ||
      first + bytes > block.shared + block.shared_bytes)
    fail(file, line, "%s: shared-memory address out of range (offset %ld of %zu)", what, offset,
         block.shared_bytes);
  if (reinterpret_cast<uintptr_t>(data) % align)
    fail(file, line, "%s: shared-memory address not aligned to %zu (offset %ld)", what, align,
         offset);
}

}  // namespace deepcache::emulator
