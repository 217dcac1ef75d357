#include "runtime/e4m3.h"

#include <cmath>
#include <limits>

#include "cpu/kernels.h"
#include "test.h"
#include "test/ops/e4m3.h"

namespace deepcache::test {
namespace {

const char* const kIsas[] = {"baseline", "avx2", "avx512"};

// Every value, what lies half way between neighbours, and the floats on both sides of these.
std::vector<float> interesting() {
  std::vector<float> values = {0,     -0.0f, 448.1f,   463.9f, 464,    465,     480,
                               1e10f, 3e38f, 0x1p-10f, 1e-20f, 1e-44f, INFINITY};
  for (int code = 0; code < 0x7e; code++) {
    const float low = float(e4m3_value(code)), high = float(e4m3_value(code + 1));
    const float middle = (low + high) / 2;
    for (const float v : {low, high, middle, std::nextafterf(middle, low),
                          std::nextafterf(middle, high), std::nextafterf(low, high)})
      values.push_back(v);
  }
  const size_t count = values.size();
  for (size_t i = 0; i < count; i++) values.push_back(-values[i]);
  return values;
}

}  // namespace

TEST(e4m3_codes_stand_for_their_values) {
  for (int code = 0; code < 256; code++) {
    const float value = e4m3_to_float(uint8_t(code));
    if (std::isnan(e4m3_value(code))) {
      CHECK(std::isnan(value));
      continue;
    }
    CHECK(value == float(e4m3_value(code)) && std::signbit(value) == (code > 127));
    CHECK(float_to_e4m3(value) == code);
  }
}

TEST(e4m3_rounds_to_nearest_even) {
  for (const float value : interesting()) CHECK(float_to_e4m3(value) == nearest_e4m3(value));
  CHECK(float_to_e4m3(NAN) == 0x7f && float_to_e4m3(-NAN) == 0x7f);
}

TEST(e4m3_kernels_round_alike) {
  std::vector<float> values = interesting();
  for (const char* isa : kIsas) {
    const cpu::Kernels* kernels = cpu::find_kernels(isa);
    if (!kernels) continue;
    std::vector<float> rounded(values.size() + 1, 77.0f);
    kernels->round_to_e4m3(values.data(), rounded.data(), values.size(), 1, 2);
    for (size_t i = 0; i < values.size(); i++) {
      const float expected = 2 * e4m3_to_float(float_to_e4m3(values[i]));
      CHECK(rounded[i] == expected && std::signbit(rounded[i]) == std::signbit(expected));
    }
    CHECK(rounded.back() == 77.0f);
    // Every NaN, and a largest value in every place of a vector.
    for (const uint32_t bits : {0x7fc00000u, 0x7fffffffu, 0xffffffffu, 0x7f800001u}) {
      const float nan = std::bit_cast<float>(bits);
      kernels->round_to_e4m3(&nan, rounded.data(), 1, 1, 1);
      CHECK(std::isnan(rounded[0]));
    }
    for (size_t count = 1; count < 40; count++)
      for (size_t at = 0; at < count; at++) {
        std::vector<float> some(count, 0.5f);
        some[at] = -3;
        CHECK(kernels->largest(some.data(), count) == 3);
      }
  }
}

TEST(e4m3_scales_are_finite) {
  for (const float largest : {0.0f, 1e-44f, 1e-30f, 1.0f, 448.0f, 3.4e38f}) {
    const E4m3Scale of(largest);
    CHECK(std::isfinite(of.factor) && of.factor > 0 && of.scale > 0);
    CHECK(std::fabs(largest * of.factor) <= 448.0001f);
  }
}

}  // namespace deepcache::test
