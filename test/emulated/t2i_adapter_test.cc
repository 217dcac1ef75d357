// T2I-Adapters as kernels.

#include "emulated.h"
#include "native/t2i_adapter_checks.h"

namespace deepcache::test {

TEST(quick_t2i_adapter_gives_what_the_cpu_does) {
  const Emulation emulation(1, emulator::Async::late);
  check_t2i_adapter(emulated_backend(kSm80, ActivationType::fp16), 1e-2);
}

}  // namespace deepcache::test
