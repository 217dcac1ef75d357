#pragma once

#include <cstddef>
#include <utility>

#include "runtime/backend.h"

namespace deepcache::cpu {

// Zero-filled memory, aligned to a cache line. Pages that nobody touches cost nothing.
class Memory {
 public:
  Memory() = default;
  // Throws Error(kOutOfMemory).
  explicit Memory(size_t bytes);
  ~Memory();
  Memory(Memory&& other) noexcept { *this = std::move(other); }
  Memory& operator=(Memory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }

  char* data() const { return static_cast<char*>(data_); }
  float* floats() const { return static_cast<float*>(data_); }
  size_t bytes() const { return bytes_; }

 private:
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

class CpuBuffer : public Buffer {
 public:
  explicit CpuBuffer(size_t bytes) : Buffer(bytes), memory_(bytes) {}
  char* data() const { return memory_.data(); }

 protected:
  void write(const void* source, size_t bytes, size_t offset) override;
  void read(void* target, size_t bytes, size_t offset) const override;
  void take(const Buffer& source, size_t bytes, size_t offset, size_t source_offset) override;

 private:
  Memory memory_;
};

}  // namespace deepcache::cpu
