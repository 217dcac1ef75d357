#include "backend.h"

#include "memory.h"

namespace deepcache {
namespace {

void check_range(size_t offset, size_t bytes, size_t size) {
  if (offset > size || bytes > size - offset)
    throw Error(ErrorCode::kInternal, "buffer: bytes " + std::to_string(offset) + " to " +
                                          std::to_string(offset + bytes) + " of " +
                                          std::to_string(size));
}

}  // namespace

void Buffer::upload(const void* source, size_t bytes, size_t offset) {
  check_range(offset, bytes, bytes_);
  if (bytes) write(source, bytes, offset);
}

void Buffer::download(void* target, size_t bytes, size_t offset) const {
  check_range(offset, bytes, bytes_);
  if (bytes) read(target, bytes, offset);
}

void Backend::require_memory(size_t bytes, const std::string& what) const {
  const size_t available = available_memory();
  if (bytes <= available) return;
  throw Error(ErrorCode::kOutOfMemory, what + " needs about " + format_bytes(bytes) +
                                           " of memory, but only " + format_bytes(available) +
                                           " are available on " + name() +
                                           "; choose a smaller batch or size, or free memory");
}

}  // namespace deepcache
