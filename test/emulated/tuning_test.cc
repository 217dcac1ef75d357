// Measured tiles: every tile and split that can be chosen computes the same, and what was measured
// is found again.

#include <algorithm>
#include <span>
#include <thread>

#include "emulated.h"
#include "environment.h"
#include "native/temporary_folder.h"
#include "native/test.h"
#include "test/ops/op_cases.h"

namespace deepcache::test {
namespace {

using emulator::Async;

struct TunedCase {
  const char *name, *key;  // a case and its product's tuning_key()
  int most_splits;         // of its chunks of k, at least four each
};
// Tails of rows and columns, scales, two inputs, strides, phases, a shortcut, GEGLU.
constexpr TunedCase kCases[] = {
    {"conv_linear_long_k_eights", "1x1x77x136,1x1/1:2568+0,act0,residual", 10},
    {"conv_linear_eights", "1x1x333x328,1x1/1:200+0,act0,residual", 1},
    {"conv_3x3_two_inputs_eights", "2x9x7x168,3x3/1:64+136,act0,row,residual", 6},
    {"conv_3x3_stride_eights", "2x7x5x136,3x3/2:72+0,act0", 2},
    {"conv_upsample_long_k", "1x3x3x64,phases,2x2/1:320+0,act0", 5},
    {"conv_shortcut_long_k", "1x4x4x64,3x3/1:320+0,1x1/1:320+320,act0", 12},
    {"conv_geglu_eights", "1x1x300x352,1x1/1:72+0,act4", 1},
};
constexpr const char* kSm80Tiles[] = {"sm80_64x64", "sm80_128x128", "sm80_128x160"};
constexpr const char* kSm90Tiles[] = {"sm90_64x160", "sm90_128x128", "sm90_128x160", "sm90_256x160",
                                      "sm90_128x256"};
// Those whose tiles pairs of blocks can compute.
constexpr TunedCase kPairedCases[] = {
    {"conv_linear_pairs", "1x1x500x200,1x1/1:840+0,act0,residual", 3},
    {"conv_3x3_pairs", "2x16x15x136,3x3/1:72+0,act0,row", 4},
};
constexpr const char* kPairs[] = {"sm90_64x160_pairs", "sm90_128x160_pairs", "sm90_128x256_pairs"};

const OpCase& find_case(const std::string& name) {
  for (const OpCase& test : op_cases())
    if (test.name == name) return test;
  throw Failure("there is no case " + name);
}

void check_choice(cuda::CudaBackend& gpu, const TunedCase& test, const std::string& tile,
                  int splits) {
  const std::string line = std::string(test.key) + ' ' + tile + ' ' + std::to_string(splits);
  gpu.set_tuning(line, false);
  const CaseResult result = run_case(find_case(test.name), gpu, {8e-3, true});
  if (!result.problem.empty()) throw Failure(line + ": " + result.problem);
  const std::string split = splits > 1 ? "k split in " + std::to_string(splits) : "";
  if (result.kernel.find(tile.substr(tile.find('_') + 1)) == std::string::npos ||
      result.kernel.find(split) == std::string::npos)
    throw Failure(line + " is not followed: " + result.kernel);
}

void check_choices(int device, std::span<const char* const> tiles, uint64_t seed, Async async,
                   const std::vector<int>& all_splits, std::span<const TunedCase> cases = kCases) {
  const Emulation emulation(seed, async, 2);
  cuda::CudaBackend gpu(*deepcache_cuda_api(), device, ActivationType::bf16);
  for (const TunedCase& test : cases)
    for (const char* tile : tiles)
      for (const int splits : all_splits)
        if (splits <= test.most_splits) check_choice(gpu, test, tile, splits);
}

}  // namespace

const std::vector<int> kFewSplits = {1, 5}, kManySplits = {1, 2, 3, 5, 12};

TEST(quick_tuning_choices_sm80) { check_choices(kSm80, kSm80Tiles, 1, Async::late, kFewSplits); }
TEST(quick_tuning_choices_sm90) { check_choices(kSm90, kSm90Tiles, 2, Async::random, kFewSplits); }
TEST(quick_tuning_choices_of_pairs) {
  check_choices(kSm90, kPairs, 8, Async::late, {1, 2}, kPairedCases);
}
TEST(all_tuning_choices_of_pairs) {
  check_choices(kSm90, kPairs, 9, Async::random, {1, 3}, kPairedCases);
  check_choices(kSm90, kPairs, 10, Async::at_issue, {2}, kPairedCases);
}
TEST(all_tuning_choices_sm80) { check_choices(kSm80, kSm80Tiles, 3, Async::random, kManySplits); }
TEST(all_tuning_choices_sm90) { check_choices(kSm90, kSm90Tiles, 4, Async::late, kManySplits); }
TEST(all_tuning_choices_at_issue) {
  check_choices(kSm90, kSm90Tiles, 5, Async::at_issue, kManySplits);
}

TEST(quick_tuning_ignores_what_it_does_not_understand) {
  const Emulation emulation(5, Async::late);
  cuda::CudaBackend gpu(*deepcache_cuda_api(), kSm90, ActivationType::bf16);
  const std::string key = "1x1x50x40,1x1/1:64+0,act1,row";
  // No tile, a GPU's that this is not, more splits than k has chunks.
  gpu.set_tuning("a line\n\n" + key + " sm90_1x1 1\n" + key + " sm80_64x64 1\n" + key, false);
  const OpCase& test = find_case("conv_linear_eights");
  const CaseResult result = run_case(test, gpu, {8e-3, true});
  CHECK_EQ(result.problem, std::string());
  CHECK(result.kernel.find("sm_90a") != std::string::npos);
  gpu.set_tuning("1x1x333x328,1x1/1:200+0,act0,residual sm90_128x160 16", false);
  CHECK_EQ(run_case(test, gpu, {8e-3, true}).kernel, result.kernel);
}

TEST(quick_tuning_measures_and_remembers) {
  const Emulation emulation(6, Async::late);
  const TemporaryFolder folder;
  const Environment cache("DEEPCACHE_CACHE_DIR", folder.path() + "/tiles");
  const OpCase& test = find_case("conv_linear_fused");
  std::string measured;
  {
    const Environment tune("DEEPCACHE_TUNE", "1");
    cuda::CudaBackend gpu(*deepcache_cuda_api(), kSm90, ActivationType::fp16);
    CHECK_EQ(gpu.tuning(), std::string());
    CHECK_EQ(run_case(test, gpu, {2e-3, true}).problem, std::string());
    measured = gpu.tuning();
    CHECK(measured.starts_with("1x1x40x144,1x1/1:48+0,act0 sm90_"));
  }
  cuda::CudaBackend gpu(*deepcache_cuda_api(), kSm90, ActivationType::fp16);
  CHECK_EQ(gpu.tuning(), measured);
  cuda::CudaBackend other(*deepcache_cuda_api(), kSm86, ActivationType::fp16);
  CHECK_EQ(other.tuning(), std::string());
}

// Programs that are made on several threads measure in turn, and all find the same table.
// ThreadSanitizer looks for races.
TEST(quick_tuning_races) {
  const Emulation emulation(7, Async::at_issue);
  const TemporaryFolder folder;
  const Environment cache("DEEPCACHE_CACHE_DIR", folder.path());
  const Environment tune("DEEPCACHE_TUNE", "1");
  cuda::CudaBackend gpu(*deepcache_cuda_api(), kSm90, ActivationType::fp16);
  std::vector<std::string> problems(3);
  std::vector<std::thread> threads;
  for (std::string& problem : problems)
    threads.emplace_back([&] {
      problem = check_case(find_case("conv_linear_fused"), gpu, {2e-3, true});
    });
  for (std::thread& thread : threads) thread.join();
  for (const std::string& problem : problems) CHECK_EQ(problem, std::string());
  const std::string table = gpu.tuning();
  CHECK_EQ(std::count(table.begin(), table.end(), '\n'), 1);
}

}  // namespace deepcache::test
