// IP-Adapters beside a U-Net, in passes, and in runs that go together.

#include "control_checks.h"
#include "image_prompt_checks.h"
#include "runtime/error.h"

namespace deepcache::test {

TEST(image_prompts_add_what_they_find) {
  ImagePromptTest test(make_cpu_backend(1));
  const auto plain = test.forward({});
  const auto whole = test.forward({test.prompt(test.base, 2, 1)});
  CHECK(ControlTest::difference(whole, plain) > 1e-3);
  CHECK(test.forward({test.prompt(test.base, 2, 0)}) == plain);
  const size_t plans = test.unet->counters().sessions;
  CHECK(ControlTest::difference(test.forward({test.prompt(test.base, 2, 0.5f)}), whole) > 1e-4);
  CHECK_EQ(test.unet->counters().sessions, plans);
  // The same adapter twice, by parts of a scale, is what it is once.
  const auto parts =
      test.forward({test.prompt(test.base, 2, 0.25f), test.prompt(test.base, 2, 0.75f)});
  CHECK(ControlTest::difference(parts, whole) < 1e-5);
  const auto both = test.forward({test.prompt(test.base, 2, 1), test.prompt(test.plus, 2, 1)});
  CHECK(ControlTest::difference(both, whole) > 1e-3);
  // Scales are of single attentions.
  ImagePrompt one = test.prompt(test.base, 2, 0);
  one.scales[1] = 1;
  const auto single = test.forward({one});
  CHECK(ControlTest::difference(single, plain) > 1e-5);
  CHECK(ControlTest::difference(single, whole) > 1e-5);
}

TEST(image_prompts_of_runs_that_go_together) {
  ImagePromptTest test(make_cpu_backend(1));
  const auto pictured = [&](float scale) {
    return test.run({test.prompt(test.base, 2, scale), test.prompt(test.plus, 2, 1)});
  };
  const Trace plain = trace_alone(*test.unet, *test.run({}));
  const Trace half = trace_alone(*test.unet, *pictured(0.5f));
  const Trace whole = trace_alone(*test.unet, *pictured(1));
  CHECK(half != plain && half != whole);
  UnetBatch batch(*test.unet);
  Driven a(*test.unet, test.run({})), b(*test.unet, pictured(0.5f)), c(*test.unet, pictured(1));
  tick(*test.unet, batch, {&b});
  for (int i = 0; i < 9; ++i) tick(*test.unet, batch, {&a, &b, &c});
  tick(*test.unet, batch, {&a, &c});
  for (Driven* one : {&a, &b, &c}) one->finish();
  // Of b and c where both retrieve; one without pictures goes alone.
  CHECK_EQ(batch.shared_passes(), 3);
  CHECK(a.trace == plain);
  CHECK(b.trace == half);
  CHECK(c.trace == whole);
}

TEST(image_prompts_of_three_outputs) {
  ImagePromptTest test(make_cpu_backend(1));
  // m = e0 + 4 (e1 - e0) + 0 (e2 - e0): what the third row reads changes nothing but itself.
  const auto run = [&](float third, bool joined) {
    const auto make = [&] {
      auto out = std::make_unique<BatchRun>(*test.unet, "three", 2, 3, 8);
      StepTable& table = out->request.table;
      table.programs = {{kFull}, {kRetrieve, 1}};
      for (int i = 0; i < 4; ++i) {
        StepRow row = out->row(i % 2, out->number(float(951 - 90 * i)));
        out->guide(row, 4, 0);
        row.guided_by_third = true;
        row.guidance_third = out->number(third);
        table.assign(row, Slot::x, {{Slot::x, out->number(0.97f)}, {Slot::m, out->number(-0.03f)}});
        table.rows.push_back(row);
      }
      out->request.conditions.image_prompts = {test.prompt(test.base, 6, 0.8f)};
      return out;
    };
    if (!joined) return trace_alone(*test.unet, *make());
    UnetBatch batch(*test.unet);
    Driven a(*test.unet, make()), b(*test.unet, test.run({test.prompt(test.base, 2, 0.3f)}));
    while (a.has_next()) tick(*test.unet, batch, {&a, &b});
    CHECK(batch.shared_passes() > 0);
    a.finish();
    return a.trace;
  };
  CHECK(run(0.5f, false) != run(0, false));
  CHECK(run(0.5f, true) == run(0.5f, false));
}

TEST(image_prompts_are_of_the_unet) {
  ImagePromptTest test(make_cpu_backend(1));
  IpAdapterConfig other = test.base->config();
  require_fit(other, test.unet->config());
  other.channels.pop_back();
  CHECK_THROWS(require_fit(other, test.unet->config()), ErrorCode::kInvalidArgument);
}

}  // namespace deepcache::test
