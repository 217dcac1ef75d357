// Features that retrieve steps forecast, on the emulated GPU.

#include "compare.h"
#include "emulated.h"
#include "native/forecast_checks.h"

namespace deepcache::test {
namespace {

void check_forecasts(ActivationType type, double tolerance) {
  const ForecastTest gpu(emulated_backend(kSm80, type)), reference(cpu());
  CHECK(gpu.latents(gpu.run(no_forecast)) == gpu.latents(gpu.held()));
  check_close("ten steps", gpu.latents(gpu.run(on_a_line)),
              reference.latents(reference.run(on_a_line)), tolerance);
}

}  // namespace

TEST(quick_forecasts_fp16) {
  const Emulation emulation(33, emulator::Async::late);
  check_forecasts(ActivationType::fp16, 2e-2);
}
TEST(all_forecasts_bf16) {
  const Emulation emulation(34, emulator::Async::random);
  // The change between two features has their rounding, which a forecast multiplies.
  check_forecasts(ActivationType::bf16, 3e-1);
}

}  // namespace deepcache::test
