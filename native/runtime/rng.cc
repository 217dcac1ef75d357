#include "rng.h"

#include <cmath>
#include <cstddef>
#include <numbers>

#include "half.h"
#include "rng_math.h"

// MT19937 (Matsumoto, Nishimura 1998) and ATen's CPU distributions: DistributionTemplates.h
// (normal_fill) and DistributionsHelper.h (normal_distribution) of PyTorch. Compiled without
// contraction of multiply and add.

namespace deepcache {
namespace {

constexpr int kWords = 624, kMiddle = 397;
constexpr size_t kBlock = 16;  // values that torch's large fills transform together
constexpr double kPi = std::numbers::pi;

uint32_t twist(uint32_t high, uint32_t low) {
  const uint32_t mixed = (high & 0x80000000u) | (low & 0x7fffffffu);
  return (mixed >> 1) ^ (low & 1 ? 0x9908b0dfu : 0);
}

float round_to_half(float value) { return half_to_float(float_to_half(value)); }

// Box-Muller over 8 pairs of uniform values, in place. They lie 8 apart.
void transform_block(float* d) {
  for (int j = 0; j < 8; j++) {
    const float radius = std::sqrt(-2 * exact_log(1 - d[j]));
    const SineCosine angle = exact_sine_cosine(float(2 * kPi * d[j + 8]));
    d[j] = radius * angle.cosine;
    d[j + 8] = radius * angle.sine;
  }
}

void transform_block(double* d) {
  for (int j = 0; j < 8; j++) {
    const double radius = std::sqrt(-2 * std::log(1 - d[j]));
    const double angle = 2 * kPi * d[j + 8];
    d[j] = radius * std::cos(angle);
    d[j + 8] = radius * std::sin(angle);
  }
}

// Every intermediate value of torch's is a Half.
void transform_half_block(float* d) {
  for (int j = 0; j < 8; j++) {
    const float radius = round_to_half(std::sqrt(-2 * exact_log(1 - d[j])));
    const SineCosine angle = exact_sine_cosine(round_to_half(float(2 * kPi * d[j + 8])));
    d[j] = round_to_half(radius * angle.cosine);
    d[j + 8] = round_to_half(radius * angle.sine);
  }
}

// Fills with uniform values and transforms block by block; a rest that makes no block is covered
// by redrawing the last 16 values.
template <typename Real, typename Uniform, typename Transform>
void fill_normal(Real* out, size_t count, Uniform uniform, Transform transform) {
  for (size_t i = 0; i < count; i++) out[i] = uniform();
  for (size_t i = 0; i + kBlock <= count; i += kBlock) transform(out + i);
  if (count % kBlock != 0) {
    Real* last = out + count - kBlock;
    for (size_t i = 0; i < kBlock; i++) last[i] = uniform();
    transform(last);
  }
}

}  // namespace

Generator::Generator(int64_t value) { seed(value); }

void Generator::seed(int64_t value) {
  state_[0] = uint32_t(uint64_t(value));
  for (uint32_t i = 1; i < kWords; i++)
    state_[i] = 1812433253u * (state_[i - 1] ^ (state_[i - 1] >> 30)) + i;
  index_ = kWords;
  cached_normal_.reset();
}

void Generator::regenerate() {
  int i = 0;
  for (; i < kWords - kMiddle; i++)
    state_[i] = state_[i + kMiddle] ^ twist(state_[i], state_[i + 1]);
  for (; i < kWords - 1; i++)
    state_[i] = state_[i + kMiddle - kWords] ^ twist(state_[i], state_[i + 1]);
  state_[i] = state_[kMiddle - 1] ^ twist(state_[i], state_[0]);
  index_ = 0;
}

uint32_t Generator::next_u32() {
  if (index_ == kWords) regenerate();
  uint32_t y = state_[index_++];
  y ^= y >> 11;
  y ^= y << 7 & 0x9d2c5680u;
  y ^= y << 15 & 0xefc60000u;
  return y ^ y >> 18;
}

uint64_t Generator::next_u64() {
  const uint64_t high = next_u32();
  return high << 32 | next_u32();
}

float Generator::next_float() { return float(next_u32() & 0xffffff) * 0x1p-24f; }

double Generator::next_double() { return double(next_u64() & ((1ull << 53) - 1)) * 0x1p-53; }

double Generator::next_normal() {
  if (cached_normal_) {
    const double value = *cached_normal_;
    cached_normal_.reset();
    return value;
  }
  const double u1 = next_double();
  const double u2 = next_double();
  const double radius = std::sqrt(-2 * std::log1p(-u2));
  const double angle = 2 * kPi * u1;
  cached_normal_ = radius * std::sin(angle);
  return radius * std::cos(angle);
}

void Generator::randn(float* out, size_t count) {
  if (count >= kBlock)
    return fill_normal(
        out, count, [&] { return next_float(); }, [](float* block) { transform_block(block); });
  for (size_t i = 0; i < count; i++) out[i] = float(next_normal());
}

void Generator::randn(double* out, size_t count) {
  if (count >= kBlock)
    return fill_normal(
        out, count, [&] { return next_double(); }, [](double* block) { transform_block(block); });
  for (size_t i = 0; i < count; i++) out[i] = next_normal();
}

void Generator::randn_half(float* out, size_t count) {
  if (count >= kBlock)
    return fill_normal(
        out, count, [&] { return float(next_u32() & 0x7ff) * 0x1p-11f; }, transform_half_block);
  for (size_t i = 0; i < count; i++) out[i] = round_to_half(float(next_normal()));
}

void Generator::rand(float* out, size_t count) {
  for (size_t i = 0; i < count; i++) out[i] = next_float();
}

}  // namespace deepcache
