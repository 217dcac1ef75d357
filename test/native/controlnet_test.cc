// ControlNets beside a U-Net, in passes and in runs with DeepCache.

#include "control_checks.h"
#include "runtime/error.h"

namespace deepcache::test {

TEST(controlnet_adds_to_a_unet) { check_controlnet(make_cpu_backend(1), 1e-4); }

TEST(controlnet_gives_means) { check_control_pool(make_cpu_backend(1), 1e-6); }

TEST(controlnet_of_several_kinds) { check_control_union(make_cpu_backend(1), 1e-6); }

namespace {

// x becomes the model's output, row after row.
StepTable outputs(const std::vector<ProgramKey>& programs) {
  StepTable table;
  table.programs = programs;
  table.values = {1, 0, 7};
  for (size_t i = 0; i < programs.size(); ++i) {
    StepRow row;
    row.program = int(i);
    row.timestep = {2, 0};
    row.input_scale = row.x0_m = {0, 0};
    row.x0_x = {1, 0};
    table.assign(row, Slot::x, {{Slot::m, {0, 0}}});
    table.rows.push_back(row);
  }
  return table;
}

std::vector<float> denoise(ControlTest& test, std::vector<ProgramKey> programs, float scale,
                           int halves = 1, bool guess = false) {
  UnetDenoise request;
  request.batch = 2 / halves;
  request.outputs = halves;
  request.height = request.width = 8;
  request.table = outputs(programs);
  request.latents = test.sample.data();
  request.conditions = test.request.conditions;
  ControlNetUse use = test.use(scale, int(programs.size()));
  use.images = 1;
  use.guess = guess;
  request.control.networks = {use};
  return test.unet->denoise(request, nullptr, nullptr).latents;
}

ProgramKey key(int branch, uint32_t networks, Halves halves = Halves::all) {
  return {branch < 0 ? ProgramKey::Kind::full : ProgramKey::Kind::retrieve, branch, halves,
          networks};
}

}  // namespace

TEST(controlnet_holds_or_lives_in_retrieve_steps) {
  ControlTest test(make_cpu_backend(1));
  for (int branch = 0; branch < test.unet->config().branches(); ++branch) {
    const auto held = denoise(test, {key(-1, 1), key(branch, 0)}, 1);
    const auto live = denoise(test, {key(-1, 1), key(branch, 1)}, 1);
    const auto none = denoise(test, {key(-1, 1), key(branch, 0)}, 0);
    CHECK(ControlTest::difference(held, none) > 1e-4);
    CHECK(ControlTest::difference(held, live) > 1e-6);
    // Of a second run in the same session nothing is left of the first.
    CHECK(denoise(test, {key(-1, 1), key(branch, 0)}, 1) == held);
  }
}

TEST(controlnet_in_guess_mode_is_for_the_conditional_half) {
  ControlTest test(make_cpu_backend(1));
  const auto only = [&](Halves halves, float scale) {
    return denoise(test, {key(-1, 1, halves)}, scale, 2, true);
  };
  CHECK(only(Halves::unconditional, 1) == only(Halves::unconditional, 0));
  CHECK(ControlTest::difference(only(Halves::conditional, 1), only(Halves::conditional, 0)) > 1e-4);
}

}  // namespace deepcache::test
