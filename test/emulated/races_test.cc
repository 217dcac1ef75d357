// Every kernel with barriers or asynchronous copies, for ThreadSanitizer, to which every CUDA
// thread is a thread: scripts/test-sanitized.sh emulated. Other builds run them like any test.
//
// Cases are as small as what synchronises allows: rings of stages go around more than twice, blocks
// have more than one unit of work, both consumers and both blocks of a pair take part, and the last
// rows, columns and keys are no whole tile.

#include <set>

#include "emulated.h"
#include "native/test.h"
#include "test/ops/op_cases.h"

namespace deepcache::test {
namespace {

using emulator::Async;

struct RaceCase {
  const char* name;
  const char* kernel = "";  // a part of the name of the kernel that serves it
};
using RaceCases = std::vector<RaceCase>;

constexpr double kTolerance = 2e-3;  // of fp16: see ops_test.cc

const OpCase& find_case(const std::string& name) {
  for (const OpCase& test : op_cases())
    if (test.name == name) return test;
  throw Failure("no case " + name);
}

void run(int device, uint64_t seed, const RaceCases& cases) {
  const Emulation emulation(seed, Async::random, 2);
  const auto gpu = emulated_backend(device, ActivationType::fp16);
  for (const RaceCase& one : cases) {
    const CaseResult result = run_case(find_case(one.name), *gpu, {kTolerance, true});
    if (!result.problem.empty()) throw Failure(std::string(one.name) + ": " + result.problem);
    if (result.kernel.find(one.kernel) == std::string::npos)
      throw Failure(std::string(one.name) + " is served by " + result.kernel);
  }
}

const RaceCases kConvolutions = {
    {"conv_3x3"}, {"conv_3x3_stride"}, {"conv_3x3_two_inputs"}, {"conv_narrow"}};
const RaceCases kNorms = {
    {"group_norm_plain"}, {"group_norm_many_rows"}, {"group_norm_two_inputs"}, {"layer_norm_odd"}};

// Of norms that products do along: sums by the one before, by its finish, by a kernel of their own.
const RaceCases kFolds = {{"conv_folded_residual", "of normed rows"},
                          {"conv_folded_split_writer", "of normed rows"},
                          {"conv_folded_long_k", "k split"},
                          {"conv_folded_alone", "behind their sums"}};

}  // namespace

TEST(races_sm80_products) {
  run(kSm80, 1, {{"conv_linear"}, {"conv_linear_long_k"}, {"conv_linear_deep"}, {"conv_geglu"}});
}
TEST(races_sm80_folds) { run(kSm80, 1, kFolds); }
TEST(races_sm80_convolutions) { run(kSm80, 1, kConvolutions); }
TEST(races_sm80_attention) {
  run(kSm80, 1,
      {{"attention_heads_of_40"},
       {"attention_one_query"},
       {"attention_cross_160"},
       {"attention_temporal"},
       {"attention_vae", "products"}});
}
TEST(races_sm80_norms) { run(kSm80, 1, kNorms); }

TEST(races_sm90_products) {
  run(kSm90, 2, {{"conv_linear", "sm_90a"}, {"conv_linear_long_k"}, {"conv_geglu", "sm_90a"}});
}
TEST(races_sm90_deep_products) { run(kSm90, 2, {{"conv_linear_deep", "sm_90a"}}); }
TEST(races_sm90_pairs) { run(kSm90, 2, {{"conv_linear_pairs", "_pairs"}}); }
TEST(races_sm90_folds) {
  run(kSm90, 2, kFolds);
  run(kSm90, 2, {{"conv_folded_geglu", "sm_90a"}});
}
TEST(races_sm90_convolutions) {
  run(kSm90, 2, kConvolutions);
  run(kSm90, 2, {{"conv_3x3_two_inputs_eights", "sm_90a"}});
}
TEST(races_sm90_attention) {
  run(kSm90, 2,
      {{"attention_heads_of_40", "sm_90a"},
       {"attention_text_of_160", "sm_90a"},
       {"attention_text_of_video", "sm_90a"},
       {"attention_one_query"},
       {"attention_temporal"}});
}
TEST(races_sm90_attention_units) { run(kSm90, 2, {{"attention_units_of_40", "sm_90a"}}); }
TEST(races_sm90_wide_attention) { run(kSm90, 2, {{"attention_vae", "products"}}); }
TEST(races_sm90_norms) { run(kSm90, 2, kNorms); }

}  // namespace deepcache::test

#if defined(__SANITIZE_THREAD__)

// ThreadSanitizer calls it for every race that it reports, in the thread that races.
static int reports = 0;
extern "C" __attribute__((visibility("default"), no_sanitize("thread"))) void __tsan_on_report(
    void*) {
  reports++;
}

namespace deepcache::test {
namespace {

struct Race {
  int bug;
  const char* name;
  int device = kSm80;
};
// Between CUDA threads, or between one and what copies for others. Two asynchronous copies or
// products are the same thread to ThreadSanitizer; bugs between these show in values
// (planted_test.cc).
constexpr Race kRaces[] = {{3, "conv_linear_long_k"},    {15, "conv_narrow"},
                           {6, "attention_heads_of_40"}, {11, "group_norm_plain"},
                           {28, "conv_linear", kSm90},   {45, "attention_heads_of_40", kSm90}};

}  // namespace

// A test of the tests: planted bugs (planted_test.cc) that leave out what orders two threads are
// races, whatever they did to the result under this schedule.
TEST(planted_races_are_reported) {
  std::string missed;
  for (const Race& race : kRaces) {
    const Emulation emulation(2, Async::random, 2);
    emulator::options.planted_bug = race.bug;
    const int before = reports;
    std::string problem;
    try {
      problem =
          check_case(find_case(race.name), *emulated_backend(race.device, ActivationType::fp16),
                     {kTolerance, true});
    } catch (const std::exception& error) {
      problem = error.what();
    }
    if (reports == before)
      missed += "\n  bug " + std::to_string(race.bug) + " in " + race.name + ": " + problem;
  }
  if (!missed.empty()) throw Failure("not reported:" + missed);
}

}  // namespace deepcache::test

#endif
