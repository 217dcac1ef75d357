// Whole runs on the emulated GPU: what they allocate, compute once and leave behind; full memory;
// several at the same time.

#include <thread>

#include "emulated.h"
#include "emulator/memory.h"
#include "models/weight_plans.h"
#include "runtime/error.h"
#include "tiny_unet.h"

namespace deepcache::test {
namespace {

auto& counts = emulator::statistics;

std::string message_of(const std::function<void()>& body, ErrorCode code) {
  try {
    body();
  } catch (const Error& error) {
    CHECK(error.code() == code);
    return error.what();
  }
  throw Failure("nothing was thrown");
}

bool names(const Plan& plan, const std::string& part) {
  for (const WeightSpec& spec : plan.weights())
    for (const std::string& name : spec.names)
      if (name.find(part) != std::string::npos) return true;
  return false;
}

}  // namespace

TEST(quick_run_gives_its_memory_back) {
  const size_t before = emulator::allocated_bytes();
  {
    Unets u(emulated_backend(kSm80, ActivationType::fp16));
    const size_t loaded = emulator::allocated_bytes();
    denoise(u.unet, 0, 2);
    const size_t kept = emulator::allocated_bytes();
    for (int i = 0; i < 3; i++) denoise(u.unet, 0, 2);
    CHECK_EQ(emulator::allocated_bytes(), kept);
    u.unet.trim();
    CHECK_EQ(emulator::allocated_bytes(), loaded);
  }
  CHECK_EQ(emulator::allocated_bytes(), before);
}

TEST(quick_run_allocates_nothing_between_rows) {
  Unets u(emulated_backend(kSm80, ActivationType::fp16));
  for (int run = 0; run < 2; run++) {
    uint64_t first = 0;
    denoise(u.unet, 0, 4, [&](const UnetProgress& progress) {
      if (progress.row == 0) first = counts.allocations;
      CHECK_EQ(counts.allocations, first);
    });
  }
}

// Keys and values of the prompt and time projections are a fixed cost: rows add only their own ops.
TEST(quick_run_conditions_once) {
  Unets u(emulated_backend(kSm80, ActivationType::fp16));
  const auto launches = [&](int steps) {
    const uint64_t before = counts.launches;
    denoise(u.unet, 0, steps);
    return counts.launches - before;
  };
  const uint64_t two = launches(2), four = launches(4), six = launches(6);
  CHECK_EQ(six - four, four - two);
  CHECK(two > four - two);  // what is done once
  const UnetShape shape{2, 8, 8, 5, 1};
  const Plan plan = plan_unet(u.config, shape, {0});
  for (const char* part : {"attn2.to_k", "attn2.to_v", "time_emb_proj", "time_embedding"})
    CHECK(!names(plan, part));
  CHECK(names(plan_unet_context(u.config, shape), "attn2.to_k"));
  CHECK(names(plan_unet_time(u.config, 4, 1, 0), "time_emb_proj"));
}

TEST(quick_run_takes_half_the_memory_of_the_cpu) {
  Unets u(emulated_backend(kSm80, ActivationType::fp16));
  denoise(u.unet, 0, 2);
  denoise(u.reference, 0, 2);
  CHECK_EQ(2 * u.unet.memory().arena, u.reference.memory().arena);
  CHECK(u.unet.memory().buffers < u.reference.memory().buffers);
}

// Another process takes what is left, before a model is loaded, before a run, and while one is
// prepared.
TEST(quick_run_survives_full_memory) {
  const Emulation emulation(1, emulator::Async::late);
  const auto backend = std::shared_ptr(emulated_backend(kSm80, ActivationType::fp16));
  const auto leave = [](size_t bytes) {
    emulator::options.taken_bytes = 0;
    emulator::options.taken_bytes = emulator::free_bytes() - bytes;
  };
  leave(1 << 20);
  const std::string loading = message_of([&] { Unets u(backend); }, ErrorCode::kOutOfMemory);
  CHECK(loading.find("needs about 2.") != std::string::npos);
  CHECK(loading.find("only 1.00 MiB are available on cuda:0") != std::string::npos);
  emulator::options.taken_bytes = 0;
  Unets u(backend);
  leave(10 << 10);
  const std::string running = message_of([&] { denoise(u.unet, 0, 2); }, ErrorCode::kOutOfMemory);
  CHECK(running.find("only 10.00 KiB are available on cuda:0") != std::string::npos);
  emulator::options.taken_bytes = 0;
  const auto expected = denoise(u.unet, 0, 2).latents;
  u.unet.trim();
  // Between the check and the allocations: every one of them may be the one that fails.
  const size_t loaded = emulator::allocated_bytes();
  int failures = 0;
  for (const int fails_at : {0, 1, 4, 9, 17, 30, 40, 50}) {
    emulator::options.failing_allocation = counts.allocations + uint64_t(fails_at);
    try {
      CHECK(denoise(u.unet, 0, 2).latents == expected);
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::kOutOfMemory);
      failures++;
    }
    emulator::options.failing_allocation = UINT64_MAX;
    u.unet.trim();
    CHECK_EQ(emulator::allocated_bytes(), loaded);
  }
  CHECK(failures > 4);
  CHECK(denoise(u.unet, 0, 2).latents == expected);
}

// Two pipelines on one GPU and one on another, each on a thread of its own.
TEST(quick_run_beside_others) {
  const Emulation emulation(1, emulator::Async::random);
  const std::vector<int> devices = {kSm80, kSm80, kSm86};
  std::vector<std::unique_ptr<Unets>> models;
  std::vector<std::vector<float>> alone, together(devices.size());
  for (const int device : devices) {
    models.push_back(std::make_unique<Unets>(emulated_backend(device, ActivationType::fp16)));
    alone.push_back(denoise(models.back()->unet, 0, 2).latents);
    models.back()->unet.trim();
  }
  std::vector<std::thread> threads;
  for (size_t i = 0; i < devices.size(); i++)
    threads.emplace_back([&, i] { together[i] = denoise(models[i]->unet, 0, 2).latents; });
  for (std::thread& thread : threads) thread.join();
  CHECK(together == alone);
}

TEST(quick_run_names_why_there_is_no_gpu) {
  const Emulation emulation(1, emulator::Async::late);
  emulator::options.gpus = 0;
  const auto open = [] { emulated_backend(0, ActivationType::fp16); };
  CHECK(message_of(open, ErrorCode::kBackendUnavailable).find("no NVIDIA GPU") !=
        std::string::npos);
  emulator::options.gpus = 1;
  const auto second = [] { emulated_backend(1, ActivationType::fp16); };
  CHECK(message_of(second, ErrorCode::kBackendUnavailable).find("there is no GPU 1") !=
        std::string::npos);
  emulator::options.compute_capability = 75;
  CHECK(message_of(open, ErrorCode::kBackendUnavailable)
            .find("too old: emulated GPU has compute capability 7.5, 8.0 (Ampere)") !=
        std::string::npos);
}

}  // namespace deepcache::test
