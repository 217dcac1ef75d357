#include "posix_files.h"

#if defined(_WIN32)
#include <io.h>
#include <process.h>
#include <windows.h>

#include <cerrno>
#include <string>

namespace deepcache::posix {
namespace {

std::wstring wide(const char* text) {
  const int size = MultiByteToWideChar(CP_UTF8, 0, text, -1, nullptr, 0);
  std::wstring out(size_t(size), L'\0');
  MultiByteToWideChar(CP_UTF8, 0, text, -1, out.data(), size);
  return out;  // with a zero at the end of its own, which c_str() does not mind
}

OVERLAPPED at(Position position) {
  OVERLAPPED out{};
  out.Offset = DWORD(uint64_t(position));
  out.OffsetHigh = DWORD(uint64_t(position) >> 32);
  return out;
}

// What ReadFile or WriteFile said, as read and write say it.
ssize_t outcome(bool done, DWORD bytes) {
  if (done || GetLastError() == ERROR_HANDLE_EOF) return ssize_t(bytes);
  errno = GetLastError() == ERROR_DISK_FULL ? ENOSPC : EIO;
  return -1;
}

HANDLE handle(int descriptor) { return reinterpret_cast<HANDLE>(_get_osfhandle(descriptor)); }

}  // namespace

int open(const char* path, int flags, int mode) {
  // Windows knows no other permission than to write.
  return _wopen(wide(path).c_str(), flags | _O_BINARY, mode ? _S_IREAD | _S_IWRITE : 0);
}

int close(int descriptor) { return _close(descriptor); }

int fstat(int descriptor, Status* status) { return _fstat64(descriptor, status); }

ssize_t pread(int descriptor, void* target, size_t bytes, Position position) {
  OVERLAPPED where = at(position);
  DWORD some = 0;
  const bool done = ReadFile(handle(descriptor), target, DWORD(bytes), &some, &where);
  return outcome(done, some);
}

ssize_t pwrite(int descriptor, const void* source, size_t bytes, Position position) {
  OVERLAPPED where = at(position);
  DWORD some = 0;
  const bool done = WriteFile(handle(descriptor), source, DWORD(bytes), &some, &where);
  return outcome(done, some);
}

int rename(const char* from, const char* to) {
  if (MoveFileExW(wide(from).c_str(), wide(to).c_str(), MOVEFILE_REPLACE_EXISTING)) return 0;
  const DWORD error = GetLastError();
  errno = error == ERROR_FILE_NOT_FOUND || error == ERROR_PATH_NOT_FOUND ? ENOENT : EACCES;
  return -1;
}

int unlink(const char* path) { return _wunlink(wide(path).c_str()); }

int getpid() { return _getpid(); }

}  // namespace deepcache::posix
#endif
