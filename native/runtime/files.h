#pragma once

// The two ways in which the runtime touches files. Errors carry the system's words for the reason.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace deepcache {

// A whole regular file, mapped privately and read-only. Pages come and go as the kernel likes. If
// somebody truncates the file meanwhile, reading the lost pages ends the process (SIGBUS):
// replace files by renaming over them, as OutputFile does.
class MappedFile {
 public:
  // Throws Error(kInvalidWeights): all mapped files are weights.
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const unsigned char* data() const { return data_; }
  size_t size() const { return size_; }
  // Tells the kernel that the pages are not needed soon. They stay readable.
  void release() const;

 private:
  const unsigned char* data_ = nullptr;
  size_t size_ = 0;
};

// A file that appears under its name only when it is complete. Until commit() it has a temporary
// name beside it; without commit() it vanishes.
class OutputFile {
 public:
  // All members throw Error(kInvalidArgument) when the file cannot be written.
  explicit OutputFile(const std::string& path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  // Threads may write different parts at once.
  void write(const void* data, size_t bytes, uint64_t offset);
  // Replaces what had the name before.
  void commit();

 private:
  [[noreturn]] void fail(const char* action) const;  // reads errno
  [[noreturn]] void discard_and_fail(const char* action) const;

  std::string path_, temporary_;
  int descriptor_ = -1;
};

}  // namespace deepcache
