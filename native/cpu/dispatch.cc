// Which copy of the kernels runs.

#include <cstdlib>
#include <string>

#include "kernels.h"
#include "runtime/cpu_features.h"
#include "runtime/error.h"

namespace deepcache::cpu {

// x86-64 gets all three (cmake/Core.cmake), other machines the baseline.
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
#endif

const Kernels* find_kernels(const char* name) {
  const std::string wanted = name;
  if (wanted == "baseline") return &baseline::kernels;
#if defined(__x86_64__)
  if (wanted == "avx2" && has_avx2()) return &avx2::kernels;
  if (wanted == "avx512" && has_avx512()) return &avx512::kernels;
#endif
  return nullptr;
}

const Kernels& choose_kernels() {
  if (const char* wanted = std::getenv("DEEPCACHE_ISA"); wanted && *wanted) {
    if (const Kernels* kernels = find_kernels(wanted)) return *kernels;
    throw Error(ErrorCode::kInvalidArgument,
                std::string("DEEPCACHE_ISA=") + wanted +
                    ": this processor does not run it; use baseline, avx2 or avx512, or unset it");
  }
  for (const char* name : {"avx512", "avx2"})
    if (const Kernels* kernels = find_kernels(name)) return *kernels;
  return *find_kernels("baseline");
}

}  // namespace deepcache::cpu
