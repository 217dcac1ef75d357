#pragma once

// The two ways in which the runtime touches files. Errors carry the system's words for the reason.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace deepcache {

// What changes when somebody writes into a file.
struct FileStamp {
  size_t size = 0;
  int64_t seconds = 0, nanoseconds = 0;  // of the last change
  bool operator==(const FileStamp&) const = default;
};

// A regular file that is read piece by piece. Nothing is mapped: a file that somebody truncates
// would end the process at the next look at a lost page (SIGBUS).
class InputFile {
 public:
  // Throws Error(kInvalidWeights): all such files are weights.
  explicit InputFile(const std::string& path);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  const std::string& path() const { return path_; }
  // Bytes, when it was opened.
  size_t size() const { return stamp_.size; }
  // Threads may read at once. Throws Error(kInvalidWeights) when the file has changed since it was
  // opened: what was read before may not belong to what would be read now.
  void read(void* target, size_t bytes, uint64_t offset) const;

 private:
  [[noreturn]] void fail(const std::string& why) const;

  std::string path_;
  int descriptor_ = -1;
  FileStamp stamp_;
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
