// What the emulated library (cuda_emulated_library) takes from the environment: with
// DEEPCACHE_EMULATED_BUG=N the kernels' planted bug N is active, and its fault stays, as on a GPU.

#include <cstdlib>

#include "options.h"

namespace deepcache::emulator {
namespace {

[[maybe_unused]] const bool read = [] {
  const char* const bug = std::getenv("DEEPCACHE_EMULATED_BUG");
  if (!bug) return false;
  options.planted_bug = std::atoi(bug);
  return options.faults_stay = true;
}();

}  // namespace
}  // namespace deepcache::emulator
