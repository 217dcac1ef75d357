// Numbers that PyTorch 1.13's CPU generator gave (libm variant of its fp32 kernel).

#include "runtime/rng.h"

#include <bit>
#include <numbers>
#include <vector>

#include "runtime/rng_math.h"
#include "test.h"

using namespace deepcache;

namespace {

constexpr double kSingle = 4e-6;  // torch's own two fp32 kernels lie 2.1e-6 apart
constexpr double kHalf = 2e-3;

std::vector<float> randn(Generator& generator, size_t count) {
  std::vector<float> values(count);
  generator.randn(values.data(), count);
  return values;
}

template <typename Real>
void check_values(const std::vector<Real>& actual, size_t at, const std::vector<double>& expected,
                  double tolerance) {
  for (size_t i = 0; i < expected.size(); i++)
    CHECK_NEAR(actual.at(at + i), expected[i], tolerance);
}

template <typename Real>
double sum(const std::vector<Real>& values) {
  double total = 0;
  for (const Real value : values) total += value;
  return total;
}

}  // namespace

TEST(rng_bits) {
  Generator generator(0);
  for (const uint32_t expected : {2546248239u, 3626093760u, 3684848379u, 3638918503u}) {
    generator.next_u32();  // torch.randint(0, 2**32) is the second word of each pair
    CHECK_EQ(generator.next_u32(), expected);
  }
}

TEST(rng_rand) {
  Generator generator(0);
  std::vector<float> values(10);
  generator.rand(values.data(), values.size());
  check_values(values, 0, {0.4962566, 0.7682218, 0.08847743, 0.13203049}, 1e-7);
  check_values(values, 7, {0.89644474, 0.45562798, 0.6323063}, 1e-7);
}

TEST(rng_randn_small) {
  Generator generator(0);
  const auto values = randn(generator, 15);
  check_values(values, 0, {1.5409961, -0.2934289, -2.1787894, 0.56843126, -1.0845224}, 2e-7);
  check_values(values, 12, {-0.8566746, 1.1006042, -1.0711874}, 2e-7);
}

TEST(rng_randn_blocks) {
  Generator generator(0);
  const auto values = randn(generator, 16);
  check_values(values, 0, {-1.1258398, -1.1523602, -0.25057858, -0.43387884}, kSingle);
  check_values(values, 13, {1.2376579, 1.1167772, -0.24727765}, kSingle);
}

TEST(rng_randn_rest_is_redrawn) {
  Generator generator(0);
  const auto values = randn(generator, 17);
  check_values(values, 0, {-1.1258398, -1.6959313, 0.5666505, 0.7935084}, kSingle);
  check_values(values, 14, {0.94629836, -0.8436768, 0.93182665}, kSingle);
}

TEST(rng_randn_latents) {
  Generator generator(1);
  const auto values = randn(generator, 4 * 64 * 64);
  check_values(values, 0, {-1.5255959, -0.7502318, -0.6539809, -1.6094849}, kSingle);
  CHECK_NEAR(sum(values), -121.25303627221638, 5e-3);
}

TEST(rng_negative_seed) {
  Generator generator(-1);
  check_values(randn(generator, 20), 0, {-2.6642976, -1.0910486, 0.45144737}, kSingle);
}

// A number left over from a small draw survives a large one.
TEST(rng_sequence_of_draws) {
  Generator generator(0);
  check_values(randn(generator, 3), 0, {1.5409961, -0.2934289, -2.1787894}, kSingle);
  check_values(randn(generator, 2), 0, {0.56843126, -1.0845224}, kSingle);
  check_values(randn(generator, 64), 0, {-0.08853142, 0.5238833, -0.6658713}, kSingle);
  check_values(randn(generator, 1), 0, {-1.3985955}, kSingle);
  check_values(randn(generator, 20), 0, {-1.1256018, -0.31699812, -1.0924683}, kSingle);
  check_values(randn(generator, 5), 0, {-1.5054897, -0.66098255, 1.3232017}, kSingle);
  check_values(randn(generator, 4), 0, {-0.13344175, 1.8929105, 3.1110442}, kSingle);
  check_values(randn(generator, 700), 697, {0.58818084, -0.87655586, -1.0352659}, kSingle);
}

TEST(rng_seeding_forgets) {
  Generator generator(7);
  randn(generator, 3);
  generator.seed(0);
  check_values(randn(generator, 3), 0, {1.5409961, -0.2934289, -2.1787894}, kSingle);
}

TEST(rng_double) {
  Generator generator(1234567890);
  std::vector<double> values(40);
  generator.randn(values.data(), values.size());
  check_values(values, 0, {0.6252237136338163, 0.8035774845728814, 0.0045340283016251}, 1e-12);
  check_values(values, 37, {0.32795995741244127, 0.7618129567491561, -0.9107401182493031}, 1e-12);
}

TEST(rng_half) {
  Generator generator(1234567890);
  std::vector<float> values(333);
  generator.randn_half(values.data(), values.size());
  check_values(values, 0, {-1.44921875, 2.208984375, -0.5126953125, 0.49658203125}, kHalf);
  check_values(values, 330, {-0.66455078125, 1.7607421875, -0.1553955078125}, kHalf);
  generator.seed(0);
  generator.randn_half(values.data(), 5);
  check_values(values, 0, {1.541015625, -0.29345703125, -2.1796875, 0.568359375}, kHalf);
}

// Bit for bit glibc's logf, sinf and cosf: the hashes are of its own results for these arguments,
// which are every 37th of those that random numbers have.
TEST(rng_functions_are_those_of_glibc) {
  uint64_t log = 14695981039346656037ull, sine = log, cosine = log;
  const auto add = [](uint64_t& hash, float value) {
    hash = (hash ^ std::bit_cast<uint32_t>(value)) * 1099511628211ull;
  };
  for (uint32_t i = 0; i < 1u << 24; i += 37) {
    const float uniform = float(i) * 0x1p-24f;
    add(log, exact_log(1 - uniform));
    const SineCosine angle = exact_sine_cosine(float(2 * std::numbers::pi * uniform));
    add(sine, angle.sine);
    add(cosine, angle.cosine);
  }
  CHECK_EQ(log, 0x283a3ac4130563aaull);
  CHECK_EQ(sine, 0xcdb2bea03cca054cull);
  CHECK_EQ(cosine, 0x4c5198162e0280e2ull);
}

// What all platforms draw, bit for bit.
TEST(rng_randn_has_the_same_bits_everywhere) {
  Generator generator(42);
  uint64_t hash = 14695981039346656037ull;
  for (const float value : randn(generator, 1 << 16))
    hash = (hash ^ std::bit_cast<uint32_t>(value)) * 1099511628211ull;
  CHECK_EQ(hash, 0x3311580ef6d93122ull);
}
