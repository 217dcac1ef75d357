#include "files.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <system_error>
#include <utility>

#include "error.h"
#include "posix_files.h"

namespace deepcache {
namespace {

std::string reason(int number) { return std::generic_category().message(number); }

// Calls `transfer(done, some)`, which moves some bytes from byte `done` on, until all are done;
// false when it makes no progress.
template <typename Transfer>
bool transfer_all(size_t bytes, const Transfer& transfer) {
  for (size_t done = 0; done < bytes;) {
    const ssize_t some = transfer(done, std::min(bytes - done, size_t(1) << 30));
    if (some < 0 && errno == EINTR) continue;
    if (some <= 0) return false;
    done += size_t(some);
  }
  return true;
}

FileStamp stamp_of(const posix::Status& status) {
  const timespec changed = posix::change_time(status);
  return {size_t(status.st_size), int64_t(changed.tv_sec), int64_t(changed.tv_nsec)};
}

}  // namespace

InputFile::InputFile(const std::string& path) : path_(path) {
  // Opening a pipe would wait for its writer without O_NONBLOCK.
  descriptor_ = posix::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor_ < 0) fail(reason(errno));
  posix::Status status{};
  std::string problem;
  if (posix::fstat(descriptor_, &status) != 0)
    problem = reason(errno);
  else if (S_ISDIR(status.st_mode))
    problem = "it is a directory";
  else if (!S_ISREG(status.st_mode))
    problem = "it is not a regular file";
  stamp_ = stamp_of(status);
  if (problem.empty()) return;
  posix::close(descriptor_);
  fail(problem);
}

InputFile::~InputFile() { posix::close(descriptor_); }

void InputFile::read(void* target, size_t bytes, uint64_t offset) const {
  errno = 0;
  const bool complete = transfer_all(bytes, [&](size_t done, size_t some) {
    return posix::pread(descriptor_, static_cast<char*>(target) + done, some,
                        posix::Position(offset + done));
  });
  if (!complete && errno != 0) fail(reason(errno));
  posix::Status status{};
  if (posix::fstat(descriptor_, &status) != 0) fail(reason(errno));
  if (!complete || !(stamp_of(status) == stamp_))
    throw Error(ErrorCode::kInvalidWeights,
                path_ +
                    ": was changed while it was being read; try again when it is complete, and "
                    "replace files by renaming new ones over them");
}

void InputFile::fail(const std::string& why) const {
  throw Error(ErrorCode::kInvalidWeights, path_ + ": cannot be read: " + why);
}

OutputFile::OutputFile(const std::string& path) : path_(path) {
  static std::atomic<unsigned> counter{0};
  temporary_ = path + ".part-" + std::to_string(posix::getpid()) + "-" + std::to_string(counter++);
  descriptor_ = posix::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (descriptor_ < 0) fail("created");
}

OutputFile::~OutputFile() {
  if (descriptor_ >= 0) {
    posix::close(descriptor_);
    posix::unlink(temporary_.c_str());
  }
}

void OutputFile::write(const void* data, size_t bytes, uint64_t offset) {
  const bool complete = transfer_all(bytes, [&](size_t done, size_t some) {
    return posix::pwrite(descriptor_, static_cast<const char*>(data) + done, some,
                         posix::Position(offset + done));
  });
  if (!complete) fail("written");
}

void OutputFile::commit() {
  // Network file systems report here that a write failed. No fsync: it would take as long as the
  // writing, and what is written here can be made again after a power failure.
  const int descriptor = std::exchange(descriptor_, -1);
  if (posix::close(descriptor) != 0 && errno != EINTR) discard_and_fail("written");
  if (posix::rename(temporary_.c_str(), path_.c_str()) != 0) discard_and_fail("renamed into place");
}

void OutputFile::discard_and_fail(const char* action) const {
  const int number = errno;
  posix::unlink(temporary_.c_str());
  errno = number;
  fail(action);
}

void OutputFile::fail(const char* action) const {
  const int number = errno;
  throw Error(ErrorCode::kInvalidArgument, path_ + ": cannot be " + action + ": " + reason(number));
}

}  // namespace deepcache
