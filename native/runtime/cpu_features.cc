#include "cpu_features.h"

#if defined(__x86_64__)
#include <cpuid.h>

namespace deepcache {
namespace {

// Register masks of XCR0: those that the system saves when it switches threads.
constexpr unsigned kSavesAvx = 0x06, kSavesAvx512 = 0xe6;

constexpr unsigned bit(int index) { return 1u << index; }
constexpr unsigned kFma = bit(12), kXgetbv = bit(27), kF16c = bit(29);  // leaf 1, ecx
constexpr unsigned kAvx2 = bit(5), kAvx512f = bit(16), kAvx512dq = bit(17), kAvx512bw = bit(30),
                   kAvx512vl = bit(31);  // leaf 7, ebx

bool has(unsigned saved, unsigned first, unsigned extended) {
  unsigned a, b, c, d;
  first |= kXgetbv;
  if (!__get_cpuid(1, &a, &b, &c, &d) || (c & first) != first) return false;
  unsigned low, high;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  if ((low & saved) != saved) return false;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & extended) == extended;
}

}  // namespace

bool has_avx2() { return has(kSavesAvx, kFma | kF16c, kAvx2); }

bool has_avx512() {
  return has(kSavesAvx512, kFma | kF16c, kAvx2 | kAvx512f | kAvx512bw | kAvx512dq | kAvx512vl);
}

}  // namespace deepcache
#endif
