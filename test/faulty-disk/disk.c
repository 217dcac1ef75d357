// A disk that fails, and files that change while they are read, for programs that have this library in LD_PRELOAD.
//
// The file that FAULTY_DISK names says what happens: "<kind> <reads> <path>". The first so many reads of the file at the
// path go well. What then happens, to each read:
//   eio    the disk gives no bytes
//   end    the file ends
//   cut    the file is cut in half, and read
//   write  somebody writes its first byte again, a second later by the file's time, and it is read
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LONGEST 4096

static char last_plan[LONGEST];
static int reads;

// Bytes that a system call reads, past the functions below.
static ssize_t read_plan(char* plan) {
  const char* const path = getenv("FAULTY_DISK");
  const int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (file < 0) return 0;
  const ssize_t length = syscall(SYS_read, file, plan, LONGEST - 1);
  close(file);
  return length < 0 ? 0 : length;
}

// Whether a read of this file goes wrong, and how.
static int is_faulty(int descriptor, char* kind, char* path) {
  char plan[LONGEST], link[64], opened[LONGEST];
  plan[read_plan(plan)] = 0;
  int good = 0, at = 0;
  if (sscanf(plan, "%15s %d %n", kind, &good, &at) != 2) return 0;
  strcpy(path, plan + at);
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  const ssize_t length = readlink(link, opened, LONGEST - 1);
  if (length < 0) return 0;
  opened[length] = 0;
  if (strcmp(opened, path) != 0) return 0;
  if (strcmp(plan, last_plan) != 0) {
    strcpy(last_plan, plan);
    reads = 0;
  }
  return __atomic_fetch_add(&reads, 1, __ATOMIC_SEQ_CST) >= good;
}

static void change(const char* kind, const char* path) {
  const int file = open(path, O_RDWR | O_CLOEXEC);
  struct stat status;
  char byte;
  if (file < 0 || fstat(file, &status) != 0) abort();
  if (strcmp(kind, "cut") == 0 && ftruncate(file, status.st_size / 2) != 0) abort();
  if (strcmp(kind, "write") == 0) {
    const struct timespec times[2] = {{0, UTIME_OMIT}, {status.st_mtim.tv_sec + 1, 0}};
    if (syscall(SYS_pread64, file, &byte, 1, 0L) != 1 || pwrite(file, &byte, 1, 0) != 1 ||
        futimens(file, times) != 0)
      abort();
  }
  close(file);
}

ssize_t pread64(int descriptor, void* target, size_t bytes, off64_t offset) {
  char kind[16], path[LONGEST];
  const int before = errno;
  const int faulty = is_faulty(descriptor, kind, path);
  errno = before;
  if (faulty && strcmp(kind, "eio") == 0) {
    errno = EIO;
    return -1;
  }
  if (faulty && strcmp(kind, "end") == 0) return 0;
  if (faulty) change(kind, path);
  return syscall(SYS_pread64, descriptor, target, bytes, offset);
}

ssize_t pread(int descriptor, void* target, size_t bytes, off_t offset) {
  return pread64(descriptor, target, bytes, offset);
}
