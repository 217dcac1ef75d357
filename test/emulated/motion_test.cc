// Motion modules on the emulated GPU, all frames at once and in windows. Tolerances as in
// models_test.cc.

#include "compare.h"
#include "emulated.h"
#include "native/motion_checks.h"

namespace deepcache::test {
namespace {

void check_motion(ActivationType type, double tolerance) {
  MotionTest expected(cpu()), test(emulated_backend(kSm80, type));
  const FrameWindows all, windows{MotionTest::kFrames, 4, 1, FrameWindows::Weighting::pyramid},
      rest{MotionTest::kFrames, 4, 4, FrameWindows::Weighting::flat};
  check_close("all frames", test.forward(all, {0}), expected.forward(all, {0}), tolerance);
  check_close("retrieve", test.forward(all, {}, 0), expected.forward(all, {}, 0), tolerance);
  check_close("windows", test.forward(windows), expected.forward(windows), tolerance);
  check_close("a rest", test.forward(rest), expected.forward(rest), tolerance);
}

}  // namespace

TEST(quick_motion_fp16) {
  const Emulation emulation(33, emulator::Async::late);
  check_motion(ActivationType::fp16, 5e-3);
}
TEST(all_motion_bf16) {
  const Emulation emulation(34, emulator::Async::random);
  check_motion(ActivationType::bf16, 4e-2);
}

}  // namespace deepcache::test
