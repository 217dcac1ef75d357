#include "cpu/buffer.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

#include "runtime/error.h"
#include "runtime/ledger.h"
#include "runtime/memory.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace deepcache::cpu {
namespace {

constexpr size_t kAlignment = 64;

#if defined(__linux__)
constexpr size_t kMapFrom = 1 << 20;  // bytes; smaller blocks come from the heap
constexpr size_t kHugePage = 2 << 20;
#endif

[[noreturn]] void out_of_memory(size_t bytes) {
  throw Error(ErrorCode::kOutOfMemory,
              "cannot allocate " + format_bytes(bytes) +
                  " of memory; use a smaller image or batch, or free memory elsewhere");
}

}  // namespace

Memory::Memory(size_t bytes) : bytes_(bytes) {
  if (bytes == 0) return;
#if defined(__linux__)
  if (bytes >= kMapFrom) {
    void* map = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) out_of_memory(bytes);
    data_ = map;
    note_block(data_, bytes);
    // Packed weights and activations are read in long strides: large pages save address look-ups.
    if (bytes >= kHugePage) madvise(map, bytes, MADV_HUGEPAGE);
    return;
  }
#endif
  const size_t rounded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  if (rounded < bytes) out_of_memory(bytes);
  data_ = ::operator new(rounded, std::align_val_t(kAlignment), std::nothrow);
  if (!data_) out_of_memory(bytes);
  std::memset(data_, 0, rounded);
}

Memory::~Memory() {
  if (!data_) return;
#if defined(__linux__)
  if (bytes_ >= kMapFrom) {
    forget_block(data_);
    munmap(data_, bytes_);
    return;
  }
#endif
  ::operator delete(data_, std::align_val_t(kAlignment));
}

void CpuBuffer::write(const void* source, size_t size, size_t offset) {
  std::memcpy(data() + offset, source, size);
}

void CpuBuffer::read(void* target, size_t size, size_t offset) const {
  std::memcpy(target, data() + offset, size);
}

void CpuBuffer::take(const Buffer& source, size_t size, size_t offset, size_t source_offset) {
  std::memmove(data() + offset, static_cast<const CpuBuffer&>(source).data() + source_offset, size);
}

}  // namespace deepcache::cpu
