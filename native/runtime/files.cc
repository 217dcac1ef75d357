#include "files.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <system_error>
#include <utility>

#include "error.h"

namespace deepcache {
namespace {

std::string reason(int number) { return std::generic_category().message(number); }

[[noreturn]] void unreadable(const std::string& path, const std::string& why) {
  throw Error(ErrorCode::kInvalidWeights, path + ": cannot be read: " + why);
}

}  // namespace

MappedFile::MappedFile(const std::string& path) {
  // Opening a pipe would wait for its writer without O_NONBLOCK.
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) unreadable(path, reason(errno));
  struct stat status {};
  std::string problem;
  if (::fstat(descriptor, &status) != 0) {
    problem = reason(errno);
  } else if (S_ISDIR(status.st_mode)) {
    problem = "it is a directory";
  } else if (!S_ISREG(status.st_mode)) {
    problem = "it is not a regular file";
  } else if (status.st_size > 0) {
    size_ = size_t(status.st_size);
    void* map = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (map == MAP_FAILED)
      problem = reason(errno);
    else
      data_ = static_cast<const unsigned char*>(map);
  }
  ::close(descriptor);
  if (!problem.empty()) unreadable(path, problem);
}

MappedFile::~MappedFile() {
  if (data_) ::munmap(const_cast<unsigned char*>(data_), size_);
}

void MappedFile::release() const {
  if (data_) ::madvise(const_cast<unsigned char*>(data_), size_, MADV_DONTNEED);
}

OutputFile::OutputFile(const std::string& path) : path_(path) {
  static std::atomic<unsigned> counter{0};
  temporary_ = path + ".part-" + std::to_string(::getpid()) + "-" + std::to_string(counter++);
  descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (descriptor_ < 0) fail("created");
}

OutputFile::~OutputFile() {
  if (descriptor_ >= 0) {
    ::close(descriptor_);
    ::unlink(temporary_.c_str());
  }
}

void OutputFile::write(const void* data, size_t bytes, uint64_t offset) {
  auto from = static_cast<const char*>(data);
  while (bytes > 0) {
    const size_t piece = std::min(bytes, size_t(1) << 30);
    const ssize_t written = ::pwrite(descriptor_, from, piece, off_t(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) fail("written");
    from += written;
    offset += uint64_t(written);
    bytes -= size_t(written);
  }
}

void OutputFile::commit() {
  // Network file systems report here that a write failed. No fsync: it would take as long as the
  // writing, and what is written here can be made again after a power failure.
  const int descriptor = std::exchange(descriptor_, -1);
  if (::close(descriptor) != 0 && errno != EINTR) discard_and_fail("written");
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) discard_and_fail("renamed into place");
}

void OutputFile::discard_and_fail(const char* action) const {
  const int number = errno;
  ::unlink(temporary_.c_str());
  errno = number;
  fail(action);
}

void OutputFile::fail(const char* action) const {
  const int number = errno;
  throw Error(ErrorCode::kInvalidArgument, path_ + ": cannot be " + action + ": " + reason(number));
}

}  // namespace deepcache
