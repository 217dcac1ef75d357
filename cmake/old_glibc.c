// What GCC's static C++ library asks of a glibc newer than 2.28, for cmake/OldGlibc.cmake.

#include <sys/random.h>

// Whether the process has had one thread only; the library saves some atomic operations then.
char __libc_single_threaded = 0;

// For std::random_device.
unsigned arc4random(void) {
  unsigned out = 0;
  if (getentropy(&out, sizeof out) != 0) __builtin_trap();
  return out;
}
