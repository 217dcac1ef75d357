#pragma once

// fp8 of the kind e4m3fn: a sign, 4 bits of exponent (bias 7) and 3 of mantissa; the largest value
// is 448, the smallest subnormal 2^-9. There is no infinity, and one NaN (but for its sign).

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace deepcache {

constexpr float kLargestE4m3 = 448;

inline float e4m3_to_float(uint8_t code) {
  const uint32_t sign = uint32_t(code & 0x80) << 24;
  const uint32_t exponent = code >> 3 & 15, mantissa = code & 7;
  uint32_t bits = (exponent + 120) << 23 | mantissa << 20;
  if (exponent == 0) bits = std::bit_cast<uint32_t>(float(mantissa) * 0x1p-9f);
  if ((code & 0x7f) == 0x7f) bits = 0x7fc00000;
  return std::bit_cast<float>(sign | bits);
}

// To nearest, ties to even; what is larger than 448 becomes 448, infinity too, as GPUs convert
// (cvt.rn.satfinite).
inline uint8_t float_to_e4m3(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value), magnitude = bits & 0x7fffffff;
  const uint8_t sign = uint8_t(bits >> 24 & 0x80);
  if (magnitude > 0x7f800000) return 0x7f;
  if (magnitude >= std::bit_cast<uint32_t>(kLargestE4m3)) return sign | 0x7e;
  // Below 2^-6 the sum's last bit is worth 2^-9, the unit of subnormals.
  if (magnitude < 0x3c800000)
    return sign | uint8_t(std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 16384.0f) -
                          std::bit_cast<uint32_t>(16384.0f));
  return sign | uint8_t((magnitude + 0x7ffff + (magnitude >> 20 & 1) - (120u << 23)) >> 20);
}

// Values that have a scale in common, of which the largest magnitude is `largest`: each is the code
// of value * factor, and stands for code * scale. All backends compute them with these roundings.
struct E4m3Scale {
  explicit E4m3Scale(float largest) {
    // So that the factor of nothing but zeros is finite.
    const float bounded = std::max(largest, 0x1p-100f);
    factor = kLargestE4m3 / bounded;
    scale = bounded / kLargestE4m3;
  }
  float factor, scale;
};

}  // namespace deepcache
