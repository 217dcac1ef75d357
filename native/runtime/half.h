#pragma once

// Conversions between fp32 and the 16-bit formats: no tables and no branches, so that compilers
// vectorise loops over them. Exact, and to nearest even where bits are lost.

#include <bit>
#include <cstdint>

namespace deepcache {

inline float half_to_float(uint16_t half) {
  const uint32_t sign = uint32_t(half & 0x8000) << 16;
  const uint32_t exponent = half & 0x7c00, mantissa = half & 0x03ff;
  // Subnormals go through an integer, not through an fp32 subnormal: those are slow, and zero in
  // threads that flush them.
  const uint32_t subnormal = std::bit_cast<uint32_t>(float(int(mantissa)) * 0x1p-24f);
  const uint32_t bias = exponent == 0x7c00 ? 224 : 112;  // infinity and NaN have all bits set
  const uint32_t normal = (uint32_t(half & 0x7fff) << 13) + (bias << 23);
  return std::bit_cast<float>(sign | (exponent == 0 ? subnormal : normal));
}

inline uint16_t float_to_half(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = bits >> 16 & 0x8000;
  const uint32_t magnitude = bits & 0x7fffffff;
  // Normal results: rebias, and round by adding half a unit less one, plus the last kept bit.
  const uint32_t normal = (magnitude - (112u << 23) + 0xfff + (magnitude >> 13 & 1)) >> 13;
  // Subnormal results (below 2^-14): adding 0.5 leaves a sum whose last bit is worth 2^-24, the
  // unit of fp16 subnormals.
  const uint32_t subnormal =
      std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3f000000;
  const uint32_t special = magnitude > 0x7f800000 ? 0x7e00 : 0x7c00;
  uint32_t half = magnitude < 0x38800000 ? subnormal : normal;
  half = magnitude >= 0x477ff000 ? special : half;  // 65520 and up round to infinity
  return uint16_t(sign | half);
}

// fp8 of the kind e5m2 is fp16 without the last 8 bits of its mantissa.
inline float e5m2_to_float(uint8_t code) { return half_to_float(uint16_t(code << 8)); }

inline float bf16_to_float(uint16_t value) { return std::bit_cast<float>(uint32_t(value) << 16); }

}  // namespace deepcache
