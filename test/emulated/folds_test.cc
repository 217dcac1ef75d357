// Layer norms that the product behind them does along (runtime/folds.h): which kernels do it, that
// results are as good as those of a norm of its own, and what follows when weights change.

#include "test/ops/folds.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <set>

#include "cuda/host/packing.h"
#include "cuda/packed_rows.h"
#include "emulated.h"
#include "environment.h"
#include "native/test.h"

namespace deepcache::test {
namespace {

using emulator::Async;

// What is far from zero has roundings that are large beside what its norm leaves of it.
double tolerance(const OpCase& test, ActivationType type) {
  const double of_type = type == ActivationType::fp16 ? 1e-3 : 8e-3;
  return test.name.ends_with("_from_zero") ? 1.2e7 * test.tolerance * of_type : of_type;
}

CaseResult run(const OpCase& test, Backend& gpu, ActivationType type) {
  CaseResult result = run_case(test, gpu, {tolerance(test, type), true});
  if (!result.problem.empty()) throw Failure(test.name + ": " + result.problem);
  return result;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

void check(int device, ActivationType type, uint64_t seed, Async async) {
  const Emulation emulation(seed, async, 2);
  const auto gpu = emulated_backend(device, type);
  const Environment disable("DEEPCACHE_CUDA_DISABLE", "folds");
  const auto apart = emulated_backend(device, type);
  for (const OpCase& test : fold_cases()) {
    const CaseResult folded = run(test, *gpu, type), plain = run(test, *apart, type);
    if (!has(folded.kernel, "of normed rows") || has(plain.kernel, "normed"))
      throw Failure(test.name + " is served by " + folded.kernel + ", and without by " +
                    plain.kernel);
    // Weights are rounded with gamma, where values of the norm were: neither is the better one.
    if (folded.error > 1.75 * plain.error)
      throw Failure(test.name + ": an error of " + std::to_string(folded.error) + ", of " +
                    std::to_string(plain.error) + " without folding");
  }
}

}  // namespace

TEST(quick_folds_fp16_sm80) { check(kSm80, ActivationType::fp16, 1, Async::late); }
TEST(quick_folds_bf16_sm80) { check(kSm80, ActivationType::bf16, 2, Async::random); }
TEST(quick_folds_fp16_sm90) { check(kSm90, ActivationType::fp16, 3, Async::random); }
TEST(quick_folds_bf16_sm90) { check(kSm90, ActivationType::bf16, 4, Async::late); }

TEST(quick_folds_have_kernels_for_every_way) {
  // Their rows are summed by a kernel of its own.
  const std::set<std::string> kAlone = {
      "conv_folded_alone",        "conv_folded_odd",          "conv_folded_between",
      "conv_folded_small_values", "conv_folded_equal_values", "conv_folded_equal_large_values"};
  const Emulation emulation(5, Async::random);
  for (const int device : {kSm80, kSm90}) {
    const auto gpu = emulated_backend(device, ActivationType::fp16);
    for (const OpCase& test : fold_cases()) {
      const CaseResult result = run(test, *gpu, ActivationType::fp16);
      const std::string& kernel = result.kernel;
      const bool is_alone = kAlone.contains(test.name);
      if (is_alone != has(kernel, "behind their sums") ||
          (test.name == "conv_folded_long_k") != has(kernel, "k split") ||
          (device == kSm90) != has(kernel, "sm_90a"))
        throw Failure(test.name + " is served by " + kernel);
      // Who writes the rows sums them, unless they are no whole parts.
      const auto sums = [](const std::string& one) { return has(one, "sums of rows"); };
      const auto writer = std::ranges::find_if(result.kernels, sums);
      if (is_alone != (writer == result.kernels.end()))
        throw Failure(test.name + ": " + (is_alone ? *writer : "no sums of rows"));
      if (test.name == "conv_folded_split_writer" && !has(*writer, "k split"))
        throw Failure(test.name + ": the writer is " + *writer);
    }
  }
}

namespace {

// Shapes at random: any number of rows and columns, most of them no multiples of a tile's, and rows
// of which a quarter are no eights of values and have a norm of their own.
void check_random(int device, ActivationType type, unsigned seed) {
  const Emulation emulation(seed, Async::random, 2);
  const auto gpu = emulated_backend(device, type);
  std::mt19937 random(seed);
  const auto below = [&](int n) { return int(random() % unsigned(n)); };
  for (int i = 0; i < 24; i++) {
    const bool has_eights = below(4) > 0;
    FoldCase c{.x = {1 + below(2), 1 + below(9), 1 + below(9), 8 * (1 + below(25))}};
    if (!has_eights) c.x.c = 9 + 8 * below(8) + below(7);
    c.out = below(2) ? 8 * (1 + below(25)) : 1 + below(130);
    c.geglu = below(3) == 0;
    c.three = !c.geglu && below(3) == 0;
    c.residual = below(2);
    c.bias = below(2);
    c.in = below(4) ? 1 + below(200) : 0;
    c.between = below(4) == 0;
    const OpCase test =
        fold_case("random_" + std::to_string(i) + ": rows of " + std::to_string(c.x.c) +
                      " values, " + std::to_string(c.x.rows()) + " of them, to " +
                      std::to_string(c.out) + ", behind " + std::to_string(c.in) +
                      (c.geglu   ? ", geglu"
                       : c.three ? ", three"
                                 : "") +
                      (c.between ? ", another one between" : ""),
                  c);
    const CaseResult result = run(test, *gpu, type);
    if (has(result.kernel, "of normed rows") != has_eights)
      throw Failure(test.name + " is served by " + result.kernel);
  }
}

}  // namespace

TEST(quick_folds_random_fp16_sm80) { check_random(kSm80, ActivationType::fp16, 6); }
TEST(quick_folds_random_bf16_sm80) { check_random(kSm80, ActivationType::bf16, 7); }
TEST(quick_folds_random_fp16_sm90) { check_random(kSm90, ActivationType::fp16, 8); }
TEST(quick_folds_random_bf16_sm90) { check_random(kSm90, ActivationType::bf16, 9); }

// Weights times a gamma of 1e-5 are below what fp16 has bits for.
TEST(quick_folds_keep_the_bits_of_small_gammas) {
  constexpr int kOut = 24, kIn = 40;
  std::vector<float> matrix(kOut * kIn), gamma(kIn), beta(kIn), bias(kOut);
  for (size_t i = 0; i < matrix.size(); i++) matrix[i] = 0.05f * std::sin(float(3 * i + 1));
  for (int i = 0; i < kIn; i++) gamma[i] = 1e-5f * float(i - 17), beta[i] = 0.1f * float(i % 7);
  for (int i = 0; i < kOut; i++) bias[i] = float(i) / 8;
  const auto tensor = [](const std::vector<float>& values, std::vector<int64_t> shape) {
    return SourceTensor{Type::f32, std::move(shape), values.data(), values.size()};
  };
  const SourceTensor sources[] = {tensor(matrix, {kOut, kIn}), tensor(gamma, {kIn}),
                                  tensor(beta, {kIn}), tensor(bias, {kOut})};
  WeightSpec spec{Recipe::matrix, {"matrix", "gamma", "beta", "bias"}, kOut, kIn};
  spec.norms = 2;
  spec.biases = 1;
  const std::vector<char> packed =
      cuda::pack(spec, {&sources[0], &sources[1], &sources[2], &sources[3]}, ActivationType::fp16);
  CHECK_EQ(packed.size(), cuda::packed_bytes(spec));
  const auto* const rows = reinterpret_cast<const uint16_t*>(packed.data());
  const float* const sums =
      reinterpret_cast<const float*>(packed.data() + size_t(cuda::packed_rows(kOut)) * kIn * 2);
  const float *const add = sums + kOut, inverse = add[kOut];
  for (int o = 0; o < kOut; o++) {
    double sum = 0, shift = bias[o];
    for (int c = 0; c < kIn; c++) {
      const double exact = double(matrix[o * kIn + c]) * gamma[c];
      const float value = cuda::widen(rows[cuda::packed_row(o) * kIn + c], ActivationType::fp16);
      CHECK(std::abs(double(value) * inverse - exact) <= std::abs(exact) / 1024 + 1e-11);
      sum += value;
      shift += double(matrix[o * kIn + c]) * beta[c];
    }
    CHECK(std::abs(sums[o] - sum) < 1e-6 * kIn);
    CHECK(std::abs(add[o] - shift) < 1e-6);
  }
}

}  // namespace deepcache::test
