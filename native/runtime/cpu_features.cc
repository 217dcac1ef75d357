#include "cpu_features.h"

#if defined(__x86_64__)
#include <cpuid.h>

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace deepcache {
namespace {

// Register masks of XCR0: those that the system saves when it switches threads.
constexpr unsigned kSavesAvx = 0x06, kSavesAvx512 = 0xe6, kSavesTiles = 0x60000;

constexpr unsigned bit(int index) { return 1u << index; }
constexpr unsigned kFma = bit(12), kXgetbv = bit(27), kF16c = bit(29);  // leaf 1, ecx
constexpr unsigned kAvx2 = bit(5), kAvx512f = bit(16), kAvx512dq = bit(17), kAvx512bw = bit(30),
                   kAvx512vl = bit(31);                     // leaf 7, ebx
constexpr unsigned kAmxBf16 = bit(22), kAmxTile = bit(24);  // leaf 7, edx
constexpr unsigned kAvx512Bf16 = bit(5);                    // leaf 7.1, eax

bool saves(unsigned registers) {
  unsigned low, high;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (low & registers) == registers;
}

bool has(unsigned saved, unsigned first, unsigned extended) {
  unsigned a, b, c, d;
  first |= kXgetbv;
  if (!__get_cpuid(1, &a, &b, &c, &d) || (c & first) != first) return false;
  if (!saves(saved)) return false;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & extended) == extended;
}

// The tiles' registers are large: Linux gives room for them to processes that ask.
bool may_use_tiles() {
#if defined(__linux__) && defined(SYS_arch_prctl)
  constexpr long kRequest = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILE_DATA
  return syscall(SYS_arch_prctl, kRequest, kTileData) == 0;
#else
  return false;
#endif
}

}  // namespace

bool has_avx2() { return has(kSavesAvx, kFma | kF16c, kAvx2); }

bool has_avx512() {
  return has(kSavesAvx512, kFma | kF16c, kAvx2 | kAvx512f | kAvx512bw | kAvx512dq | kAvx512vl);
}

bool has_avx512_bf16() {
  unsigned a, b, c, d;
  return has_avx512() && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & kAvx512Bf16);
}

bool has_amx_bf16() {
  unsigned a, b, c, d;
  constexpr unsigned wanted = kAmxBf16 | kAmxTile;
  if (!has_avx512_bf16() || !saves(kSavesTiles) || !__get_cpuid_count(7, 0, &a, &b, &c, &d) ||
      (d & wanted) != wanted)
    return false;
  static const bool allowed = may_use_tiles();
  return allowed;
}

}  // namespace deepcache

#elif defined(__aarch64__)

#if defined(__linux__)
#include <sys/auxv.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace deepcache {

bool has_neon_bf16() {
#if defined(__linux__)
  constexpr unsigned long kBf16 = 1 << 14;  // HWCAP2_BF16
  return getauxval(AT_HWCAP2) & kBf16;
#elif defined(__APPLE__)
  int has = 0;
  size_t size = sizeof has;
  return sysctlbyname("hw.optional.arm.FEAT_BF16", &has, &size, nullptr, 0) == 0 && has;
#else
  return false;
#endif
}

}  // namespace deepcache
#endif
