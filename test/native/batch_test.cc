// Runs in one batch, each at its own place in its own step table, give bit for bit what they give
// alone.

#include <mutex>
#include <thread>
#include <utility>

#include "batch_runs.h"
#include "native/runtime/error.h"
#include "test.h"
#include "tiny_unet.h"

namespace deepcache::test {
namespace {

std::unique_ptr<Unet> unet_on(int threads, const std::string& field = "") {
  const UnetConfig config = tiny_with(field);
  return std::make_unique<Unet>(config, synthetic_weights(weight_plans(config)),
                                std::shared_ptr<Backend>(make_cpu_backend(threads)));
}

}  // namespace

TEST(batch_gives_what_runs_give_alone) {
  for (const int threads : {1, 3}) {
    const auto unet = unet_on(threads);
    const Trace ten = trace_alone(*unet, *ten_steps(*unet));
    const Trace seven = trace_alone(*unet, *seven_steps(*unet));
    const Trace two = trace_alone(*unet, *two_images(*unet));
    UnetBatch batch(*unet);
    Driven a(*unet, ten_steps(*unet));
    for (int i = 0; i < 3; ++i) tick(*unet, batch, {&a});
    CHECK_EQ(batch.shared_passes(), 0);
    Driven b(*unet, seven_steps(*unet));
    tick(*unet, batch, {&a, &b});  // both full
    CHECK_EQ(batch.shared_passes(), 1);
    Driven c(*unet, two_images(*unet)), leaver(*unet, two_images(*unet));
    tick(*unet, batch, {&a, &b, &c, &leaver});
    tick(*unet, batch, {&leaver, &c, &b, &a});
    leaver.slot.reset();
    while (a.has_next()) {
      std::vector<Driven*> all;
      for (Driven* one : {&b, &c, &a})
        if (one->has_next()) all.push_back(one);
      tick(*unet, batch, all);
    }
    CHECK(batch.shared_passes() > 4);
    for (Driven* one : {&a, &b, &c}) one->finish();
    CHECK(a.trace == ten);
    CHECK(b.trace == seven);
    CHECK(c.trace == two);
    CHECK(leaver.trace == Trace(two.begin(), two.begin() + 2));
  }
}

TEST(batch_keeps_sizes_and_large_groups_apart) {
  const auto unet = unet_on(1);
  const Trace small = trace_alone(*unet, *ten_steps(*unet)),
              large = trace_alone(*unet, *ten_steps(*unet, 16));
  UnetBatch batch(*unet, 4);
  Driven a(*unet, ten_steps(*unet)), b(*unet, ten_steps(*unet, 16)), c(*unet, ten_steps(*unet)),
      d(*unet, ten_steps(*unet));
  while (a.has_next()) tick(*unet, batch, {&a, &b, &c, &d});
  CHECK_EQ(batch.shared_passes(), 10);  // of a and c
  for (Driven* one : {&a, &b, &c, &d}) one->finish();
  CHECK(a.trace == small && c.trace == small && d.trace == small);
  CHECK(b.trace == large);
}

TEST(batch_without_memory_for_a_pass_runs_rows_alone) {
  const auto unet = unet_on(1);
  const Trace ten = trace_alone(*unet, *ten_steps(*unet));
  UnetBatch batch(*unet);
  Driven a(*unet, ten_steps(*unet)), b(*unet, ten_steps(*unet));
  const auto all = Ledger::of("cpu").reserve(size_t(1) << 40, [] { return size_t(1) << 40; });
  CHECK(all != nullptr);
  while (a.has_next()) tick(*unet, batch, {&a, &b});
  CHECK_EQ(batch.shared_passes(), 0);
  a.finish();
  CHECK(a.trace == ten);
}

// Values that are not finite belong to the run that made them.
TEST(batch_fails_only_whose_values_are_not_finite) {
  const auto unet = unet_on(1);
  const Trace ten = trace_alone(*unet, *ten_steps(*unet));
  auto bad = ten_steps(*unet);
  std::vector<float> huge(4 * 64, 3e38f);
  bad->request.latents = huge.data();
  UnetBatch batch(*unet);
  UnetRun out;
  std::thread good([&] {
    const auto run = ten_steps(*unet);
    out = batch.denoise(run->request, nullptr, nullptr);
  });
  CHECK_THROWS(batch.denoise(bad->request, nullptr, nullptr), ErrorCode::kNotFinite);
  good.join();
  CHECK(out.latents == ten[10]);
}

TEST(batch_serves_several_threads) {
  const auto unet = unet_on(2);
  const std::vector<MakeRun> makes = {
      [&] { return ten_steps(*unet); }, [&] { return seven_steps(*unet); },
      [&] { return two_images(*unet); }, [&] { return ten_steps(*unet, 16); }};
  std::vector<std::vector<float>> alone(makes.size()), together(makes.size());
  for (size_t i = 0; i < makes.size(); ++i)
    alone[i] = unet->denoise(makes[i]()->request, nullptr, nullptr).latents;
  UnetBatch batch(*unet);
  CancelFlag cancel = false;
  bool aborted = false;
  std::vector<std::thread> threads;
  threads.emplace_back([&] {
    const auto run = ten_steps(*unet);
    try {
      batch.denoise(run->request, &cancel, [&](const UnetProgress& progress) {
        if (progress.row == 4) cancel = true;
      });
    } catch (const Error& error) {
      aborted = error.code() == ErrorCode::kAborted;
    }
  });
  for (size_t i = 0; i < makes.size(); ++i)
    threads.emplace_back([&, i] {
      const auto run = makes[i]();
      together[i] = batch.denoise(run->request, nullptr, nullptr).latents;
    });
  // A run that does not join takes its turn between ticks.
  const auto beside = seven_steps(*unet);
  CHECK(unet->denoise(beside->request, nullptr, nullptr).latents == alone[1]);
  for (std::thread& thread : threads) thread.join();
  CHECK(together == alone);
  CHECK(aborted);
}

// Rows are run by those whom ordered ticks name.
TEST(batch_runs_ordered_ticks) {
  const auto unet = unet_on(1);
  const std::vector<float> ten = unet->denoise(ten_steps(*unet)->request, nullptr, nullptr).latents,
                           seven =
                               unet->denoise(seven_steps(*unet)->request, nullptr, nullptr).latents;
  UnetBatch batch(*unet);
  std::mutex mutex;
  std::vector<std::pair<int, int>> told;  // names and rows
  std::vector<std::vector<float>> out(2);
  const auto run = [&](int name, const MakeRun& make) {
    return std::thread([&, name, make] {
      const auto made = make();
      const auto report = [&](const UnetProgress& progress) {
        const std::lock_guard lock(mutex);
        told.push_back({name, progress.row});
      };
      out[size_t(name - 1)] = batch.denoise(made->request, nullptr, report, name).latents;
    });
  };
  const auto wait_until = [&](size_t count) {
    for (;;) {
      const std::lock_guard lock(mutex);
      if (told.size() >= count) return;
    }
  };
  std::thread first = run(1, [&] { return ten_steps(*unet); }),
              second = run(2, [&] { return seven_steps(*unet); });
  wait_until(2);
  for (int i = 0; i < 3; ++i) batch.order({1});
  wait_until(5);
  CHECK_EQ(batch.shared_passes(), 0);
  // Both at a full call. Nobody is called 3; the second ends before the first.
  for (int i = 0; i < 8; ++i) batch.order({2, 1, 3});
  first.join();
  second.join();
  CHECK(batch.shared_passes() > 0);
  CHECK(out[0] == ten);
  CHECK(out[1] == seven);
  const std::vector<std::pair<int, int>> begin(told.begin() + 2, told.begin() + 5);
  CHECK(begin == (std::vector<std::pair<int, int>>{{1, 0}, {1, 1}, {1, 2}}));
}

// Products of real widths are cut into pieces, by size and threads.
TEST(batch_of_real_widths) {
  const UnetConfig config = UnetConfig::parse(R"({
    "in_channels": 4, "out_channels": 4, "layers_per_block": 1, "norm_num_groups": 32,
    "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
    "block_out_channels": [128, 256], "cross_attention_dim": 768, "attention_head_dim": 8
  })");
  Unet unet(config, synthetic_weights(weight_plans(config)),
            std::shared_ptr<Backend>(make_cpu_backend(2)));
  const auto short_run = [&](std::unique_ptr<BatchRun> run) {
    run->request.table.rows.resize(2);
    return run;
  };
  const Trace ten = trace_alone(unet, *short_run(ten_steps(unet))),
              two = trace_alone(unet, *short_run(two_images(unet)));
  UnetBatch batch(unet);
  Driven a(unet, short_run(ten_steps(unet))), b(unet, short_run(two_images(unet)));
  while (a.has_next()) tick(unet, batch, {&a, &b});
  CHECK_EQ(batch.shared_passes(), 1);
  a.finish();
  b.finish();
  CHECK(a.trace == ten);
  CHECK(b.trace == two);
}

// Text2Video-Zero: frames of a video attend to its first one.
TEST(batch_keeps_videos_together) {
  const auto unet = unet_on(1);
  const auto video = [&] {
    auto run = two_images(*unet);
    run->request.frames = 2;
    return run;
  };
  const Trace alone = trace_alone(*unet, *video());
  CHECK(alone != trace_alone(*unet, *two_images(*unet)));
  UnetBatch batch(*unet);
  Driven a(*unet, video()), b(*unet, video()), c(*unet, two_images(*unet));
  tick(*unet, batch, {&a});
  while (a.has_next()) tick(*unet, batch, {&b, &c, &a});
  CHECK(batch.shared_passes() > 0);
  a.finish();
  CHECK(a.trace == alone);
}

}  // namespace deepcache::test
