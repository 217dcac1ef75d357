#pragma once

// The system's calls that files.cc is written with. On Windows they are the same functions for
// names in UTF-8, files of any size, and reading and writing at a position.

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <ctime>

#if !defined(_WIN32)
#include <unistd.h>
#endif

namespace deepcache::posix {

#if defined(_WIN32)
#define O_CLOEXEC _O_NOINHERIT
#define O_NONBLOCK 0  // there are no pipes among Windows' files

using Status = struct _stat64;
using Position = int64_t;

int open(const char* path, int flags, int mode = 0);
int close(int descriptor);
int fstat(int descriptor, Status* status);
ssize_t pread(int descriptor, void* target, size_t bytes, Position position);
ssize_t pwrite(int descriptor, const void* source, size_t bytes, Position position);
int rename(const char* from, const char* to);
int unlink(const char* path);
int getpid();
inline timespec change_time(const Status& status) { return {status.st_mtime, 0}; }
#else
using Status = struct stat;
using Position = off_t;

using ::close;
using ::fstat;
using ::getpid;
using ::open;
using ::pread;
using ::pwrite;
using ::rename;
using ::unlink;
#if defined(__APPLE__)
inline timespec change_time(const Status& status) { return status.st_mtimespec; }
#else
inline timespec change_time(const Status& status) { return status.st_mtim; }
#endif
#endif

}  // namespace deepcache::posix
