// Motion modules: all frames at once, and in windows (FreeNoise).

#include "motion_checks.h"
#include "native/models/unet_plan.h"
#include "test.h"

namespace deepcache::test {
using Weighting = FrameWindows::Weighting;

TEST(motion_in_one_window_is_motion_without_windows) {
  MotionTest test(make_cpu_backend(1));
  const std::vector<float> all = test.forward({});
  for (const Weighting weighting :
       {Weighting::pyramid, Weighting::flat, Weighting::delayed_reverse_sawtooth})
    CHECK(test.forward({6, 6, 2, weighting}) == all);
  CHECK(test.forward({6, 4, 2, Weighting::pyramid}) != all);
  CHECK(test.forward({6, 4, 2, Weighting::pyramid}) != test.forward({6, 4, 2, Weighting::flat}));
}

TEST(motion_in_windows_is_retrieved) {
  MotionTest test(make_cpu_backend(1));
  const FrameWindows windows{6, 3, 2, Weighting::pyramid};
  for (int branch = 0; branch < test.unet->config().branches(); ++branch) {
    const std::vector<float> full = test.forward(windows, {branch});
    CHECK(test.forward(windows, {}, branch) == full);
  }
  // Another session has kept nothing.
  CHECK_THROWS(test.forward({6, 3, 1, Weighting::pyramid}, {}, 0), ErrorCode::kInvalidArgument);
}

TEST(motion_windows_need_motion_modules_and_fit_their_tables) {
  UnetShape shape{.batch = 12, .height = 8, .width = 8, .frames = 12};
  const UnetConfig motion = UnetConfig::parse(kMotion);
  CHECK_THROWS(plan_unet(motion, shape, {}), ErrorCode::kInvalidArgument);
  shape.windows = {12, 8, 4, Weighting::pyramid};
  CHECK_THROWS(plan_unet(motion, shape, {}), ErrorCode::kInvalidArgument);
  shape.windows = {12, 6, 3, Weighting::pyramid};
  CHECK(plan_unet(motion, shape, {}).macs().complete > 0);
  CHECK_THROWS(plan_unet(tiny_with(""), shape, {}), ErrorCode::kInvalidArgument);
}

// A long video takes the memory of its frames, however many windows it has.
TEST(motion_windows_take_the_memory_of_one) {
  const UnetConfig motion = UnetConfig::parse(kMotion);
  const auto bytes = [&](int frames, const FrameWindows& windows) {
    UnetShape shape{.batch = frames, .height = 16, .width = 16, .frames = frames};
    shape.windows = windows;
    return plan_unet(motion, shape, {}).arena_bytes(Type::f32);
  };
  const size_t few = bytes(6, {6, 6, 3, Weighting::pyramid});
  CHECK(bytes(24, {24, 6, 1, Weighting::pyramid}) <= 4 * few + few / 2);
}

}  // namespace deepcache::test
