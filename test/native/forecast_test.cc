// Features that retrieve steps forecast from the last two full calls.

#include "control_checks.h"
#include "forecast_checks.h"
#include "runtime/error.h"

namespace deepcache::test {

TEST(forecasts_of_nothing_are_deepcache) {
  const ForecastTest test(make_cpu_backend(1));
  const auto held = test.latents(test.held());
  CHECK(test.latents(test.run(no_forecast)) == held);
  const auto line = test.latents(test.run(on_a_line));
  CHECK(ControlTest::difference(line, held) > 1e-4);
  // What an earlier run kept is not what a later one begins with.
  CHECK(test.latents(test.run(on_a_line)) == line);
  CHECK(test.latents(test.run(no_forecast)) == held);
}

TEST(forecasts_of_runs_that_go_together) {
  const ForecastTest test(make_cpu_backend(1));
  const Trace held = trace_alone(*test.unet, *test.held());
  const Trace line = trace_alone(*test.unet, *test.run(on_a_line));
  const Trace back = trace_alone(*test.unet, *test.run([](int) { return -0.5f; }));
  UnetBatch batch(*test.unet);
  Driven a(*test.unet, test.held()), b(*test.unet, test.run(on_a_line)),
      c(*test.unet, test.run([](int) { return -0.5f; }));
  for (int i = 0; i < 3; ++i) tick(*test.unet, batch, {&b});
  for (int i = 0; i < 7; ++i) tick(*test.unet, batch, {&a, &b, &c});
  for (int i = 0; i < 3; ++i) tick(*test.unet, batch, {&a, &c});
  for (Driven* one : {&a, &b, &c}) one->finish();
  CHECK_EQ(batch.shared_passes(), 7);  // of b and c
  CHECK(a.trace == held);
  CHECK(b.trace == line);
  CHECK(c.trace == back);
}

TEST(forecasts_are_of_retrieve_steps) {
  const ForecastTest test(make_cpu_backend(1));
  const auto run = test.held();
  run->request.table.rows[3].forecasts = true;
  run->request.table.rows[3].feature_gamma = run->number(1);
  CHECK_THROWS(test.latents(run), ErrorCode::kInvalidArgument);
}

}  // namespace deepcache::test
