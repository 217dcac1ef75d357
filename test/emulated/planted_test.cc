// A test of the tests: bugs that are planted in the kernels must be found, each under every seed
// and mode of asynchronous work in which it can show.

#include "emulated.h"
#include "emulator/shared_limit.h"
#include "native/test.h"
#include "test/ops/op_cases.h"

namespace deepcache::test {
namespace {

using emulator::Async;

struct Bug {
  int number;
  const char* what;
  const char* cases;    // op cases whose names contain it
  bool shows_at_issue;  // also when copies complete at once
  int device = kSm80;
  const char* message = "";  // a part of what is reported
};

constexpr Bug kBugs[] = {
    {1, "the input's right edge is one pixel further on", "conv_3x3", true},
    {2, "products wait for one copy group too few", "conv_linear_long_k", false},
    {3, "no barrier between copies and products", "conv_linear_long_k", true},
    {4, "one row too many is written", "conv_linear", true},
    {5, "the first part of a split k is left out", "conv_linear_long_k", true},
    {6, "no barrier before values are fetched", "attention_", true},
    {7, "values are multiplied before they arrived", "attention_", false},
    {8, "no barrier before keys are fetched", "attention_", true},
    {9, "keys behind the last one count", "attention_", true},
    {10, "group sums are added before they are complete", "group_norm", true},
    {11, "channel sums are added before they are complete", "group_norm", true},
    {12, "blocks do not wait for each other's group sums", "group_norm", true, kSm90},
    {16, "blocks send sums to others that may not have started", "group_norm", true, kSm90},
    {13, "a kernel does not wait for the grid before it", "layer_norm", true},
    {14, "the input's right edge is one pixel further on", "conv_narrow", true},
    {15, "no barrier between copies and products", "conv_narrow", true},
    {90, "a sample is multiplied by another one's scale", "conv_fp8_3x3", true, kSm89},
    {91, "a part's largest value is read before it is complete", "conv_fp8_3x3", true, kSm89},
    {92, "the last part of a sample does not count", "conv_fp8_3x3", true, kSm89},
    {90, "a sample is multiplied by another one's scale", "conv_fp8_3x3", true, kSm90},
    {28, "columns are scaled before all scales have come", "conv_fp8_linear", true, kSm90},
    {17, "computed weights are fetched before they are there", "attention_vae", false, kSm90},
    {18, "values are transposed before they are complete", "attention_vae", true},
    {19, "rows are softened before their largest score is known", "attention_vae", true},
    {20, "a stage is given back by one consumer for both", "conv_linear_deep", false, kSm90},
    {21, "the producer waits for the wrong phase", "conv_linear_deep", true, kSm90},
    {22, "fewer bytes are announced than come", "conv_linear_deep", true, kSm90},
    {23, "the input is one pixel further on", "conv_3x3", true, kSm90},
    {24, "products do not wait for their operands", "conv_linear_deep", false, kSm90},
    {25, "no fence before products", "conv_linear_deep", true, kSm90},
    {26, "a stage is given back while it is read", "conv_linear_deep", false, kSm90},
    {27, "sums are used while they are in flight", "conv_linear_deep", true, kSm90},
    {28, "the bias is added before all of it has come", "conv_linear_deep", true, kSm90},
    {30, "the second input meets the first one's weights", "two_inputs_eights", true, kSm90},
    {31, "weights go to a block that may not have started", "linear_pairs", true, kSm90},
    {32, "a block ends while another one needs its barriers", "linear_pairs", true, kSm90},
    {33, "the other block's stages are given back to none but this one", "linear_pairs", false,
     kSm90},
    {34, "weights go to one block of two", "linear_pairs", true, kSm90},
    {28, "rows are normed before all sums of weights have come", "conv_folded_geglu", true, kSm90},
    {95, "half of a row's part is summed", "conv_folded_residual", true},
    {95, "half of a row's part is summed", "conv_folded_residual", true, kSm90},
    {96, "rows are summed before they are there", "conv_folded_alone", true},
    {97, "the last part of a row's sums does not count", "conv_folded_three", true},
    {97, "the last part of a row's sums does not count", "conv_folded_three", true, kSm90},
    {99, "a part's sums are kept for another one", "conv_folded_split_writer", true},
    {98, "a split's row is of another one's mean", "conv_folded_long_k", true},
    {41, "fewer bytes are announced than come", "attention_", true, kSm90},
    {42, "the producer waits for the wrong phase", "attention_", true, kSm90},
    {43, "probabilities change while they are multiplied", "attention_", false, kSm90},
    {44, "no proxy fence before the output is stored", "attention_", true, kSm90},
    {45, "the output is stored before it is complete", "attention_", true, kSm90},
    {46, "keys are multiplied before they arrived", "attention_", false, kSm90},
    {47, "a stage is given back before it was read", "attention_", false, kSm90},
    {48, "sums are used while they are in flight", "attention_", true, kSm90},
    {49, "keys behind the last one count", "attention_heads_of_40", true, kSm90},
    {52, "queries are multiplied before they arrived", "attention_units", false, kSm90},
    {53, "queries are given back behind their first scores", "attention_units", false, kSm90},
    {54, "the output is written while the one before it is stored", "attention_units", false,
     kSm90},
    {94, "tiles change while they are read", "attention_mass", true},
    {93, "sums of warps are added before they are complete", "free_u", true},
    {50, "shared memory is asked for only above 48 KiB", "kept_beside_its_sums", true, kSm80,
     "group_norm_once.cu"},
    {51, "every other thread does not wait for the grid before it", "layer_norm", false, kSm90,
     "before the thread has waited"},
};

// What the first op case that finds the bug reports, or nothing.
std::string find(const Bug& bug, uint64_t seed, Async async) {
  const Emulation emulation(seed, async, 1);
  emulator::options.planted_bug = bug.number;
  emulator::forget_allowed_shared_memory();
  const bool fp8 = std::string(bug.cases).starts_with("conv_fp8");
  const auto gpu = emulated_backend(bug.device, ActivationType::fp16, fp8);
  for (const OpCase& test : op_cases()) {
    if (test.name.find(bug.cases) == std::string::npos) continue;
    // Temporaries have no guards behind them, the fp32 externals have.
    for (const bool staged : {true, false}) {
      std::string problem;
      try {
        problem = check_case(test, *gpu, {2e-3, staged});
      } catch (const std::exception& error) {
        problem = error.what();
      }
      if (!problem.empty()) return problem;
    }
  }
  return "";
}

void check_bugs(std::initializer_list<uint64_t> seeds) {
  std::string missed;
  for (const Bug& bug : kBugs)
    for (const uint64_t seed : seeds)
      for (const Async async : {Async::late, Async::random, Async::at_issue}) {
        if (async == Async::at_issue && !bug.shows_at_issue) continue;
        const std::string problem = find(bug, seed, async);
        if (!problem.empty() && problem.find(bug.message) != std::string::npos) continue;
        missed += "\n  " + std::string(bug.what) + ", seed " + std::to_string(seed) + ", mode " +
                  std::to_string(int(async)) + ": " + problem;
      }
  if (!missed.empty()) throw Failure("not found:" + missed);
}

}  // namespace

TEST(quick_planted_bugs_are_found) { check_bugs({1}); }
TEST(all_planted_bugs_are_found) { check_bugs({3, 4, 5, 6, 7}); }

}  // namespace deepcache::test
