// Which copy of the kernels runs.

#include <cstdlib>
#include <string>

#include "kernels.h"
#include "runtime/cpu_features.h"
#include "runtime/error.h"

namespace deepcache::cpu {

// Which of them there are is up to cmake/Core.cmake.
namespace baseline {
extern const Kernels kernels;
}
#if defined(__x86_64__)
namespace avx2 {
extern const Kernels kernels;
}
namespace avx512 {
extern const Kernels kernels;
}
namespace avx512_bf16 {
extern const Bf16Kernels bf16_kernels;
}
#if defined(DEEPCACHE_AMX)
namespace amx {
extern const Bf16Kernels bf16_kernels;
}
#endif
#elif defined(__aarch64__)
namespace neon_bf16 {
extern const Bf16Kernels bf16_kernels;
}
#endif

namespace {

// The same but for bf16.
[[maybe_unused]] Kernels with_bf16(Kernels out, const char* name, const Bf16Kernels& bf16) {
  out.name = name;
  out.bf16 = &bf16;
  out.has_bf16 = true;
  return out;
}

}  // namespace

const Kernels* find_kernels(const char* name) {
  const std::string wanted = name;
  if (wanted == "baseline") return &baseline::kernels;
#if defined(__x86_64__)
  if (wanted == "avx2" && has_avx2()) return &avx2::kernels;
  if (wanted == "avx512" && has_avx512()) return &avx512::kernels;
  if (wanted == "avx512_bf16" && has_avx512_bf16()) {
    static const Kernels kernels =
        with_bf16(avx512::kernels, "avx512_bf16", avx512_bf16::bf16_kernels);
    return &kernels;
  }
#if defined(DEEPCACHE_AMX)
  if (wanted == "amx" && has_amx_bf16()) {
    static const Kernels kernels = with_bf16(avx512::kernels, "amx", amx::bf16_kernels);
    return &kernels;
  }
#endif
#elif defined(__aarch64__)
  if (wanted == "neon_bf16" && has_neon_bf16()) {
    static const Kernels kernels =
        with_bf16(baseline::kernels, "neon_bf16", neon_bf16::bf16_kernels);
    return &kernels;
  }
#endif
  return nullptr;
}

const Kernels& choose_kernels(bool bf16) {
  if (const char* wanted = std::getenv("DEEPCACHE_ISA"); wanted && *wanted) {
    if (const Kernels* kernels = find_kernels(wanted)) return *kernels;
    throw Error(
        ErrorCode::kInvalidArgument,
        std::string("DEEPCACHE_ISA=") + wanted +
            ": this processor does not run it; use baseline, avx2, avx512, avx512_bf16, amx "
            "or neon_bf16, or unset it");
  }
  if (bf16)
    for (const char* name : {"amx", "avx512_bf16", "neon_bf16"})
      if (const Kernels* kernels = find_kernels(name)) return *kernels;
  for (const char* name : {"avx512", "avx2"})
    if (const Kernels* kernels = find_kernels(name)) return *kernels;
  return *find_kernels("baseline");
}

}  // namespace deepcache::cpu
