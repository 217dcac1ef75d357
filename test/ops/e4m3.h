#pragma once

// e4m3fn by its definition (OCP 8-bit floating point, section 5), as slow as that is.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace deepcache::test {

// What a code stands for; NaN for 0x7f and 0xff.
inline double e4m3_value(int code) {
  const int exponent = code >> 3 & 15, mantissa = code & 7;
  const double sign = code & 0x80 ? -1 : 1;
  if ((code & 0x7f) == 0x7f) return NAN;
  if (exponent == 0) return sign * std::ldexp(mantissa, -9);
  return sign * std::ldexp(8 + mantissa, exponent - 10);
}

// The code of the nearest value; of two that are as near, the even one.
inline int nearest_e4m3(double value) {
  if (std::isnan(value)) return 0x7f;
  static const std::vector<double> values = [] {
    std::vector<double> all;
    for (int code = 0; code < 0x7f; code++) all.push_back(e4m3_value(code));
    return all;
  }();
  const double magnitude = std::fabs(value);
  int best = 0;
  for (int code = 1; code < 0x7f; code++) {
    const double distance = std::fabs(values[code] - magnitude),
                 least = std::fabs(values[best] - magnitude);
    if (distance < least || (distance == least && code % 2 == 0)) best = code;
  }
  return best | (std::signbit(value) ? 0x80 : 0);
}

// Replaces `count` values, [first + i * step], by what their codes stand for under their common
// scale.
inline void round_to_e4m3(std::vector<double>& values, size_t first, size_t count,
                          size_t step = 1) {
  float largest = 0;
  for (size_t i = 0; i < count; i++)
    largest = std::fmax(largest, float(std::fabs(values[first + i * step])));
  if (largest == 0) return;
  const float factor = 448.0f / largest, scale = largest / 448.0f;
  for (size_t i = 0; i < count; i++) {
    double& value = values[first + i * step];
    value = e4m3_value(nearest_e4m3(float(value) * factor)) * double(scale);
  }
}

}  // namespace deepcache::test
