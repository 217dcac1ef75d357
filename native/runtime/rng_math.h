#pragma once

// The C library's logf, cosf and sinf as glibc has had them since 2.28, so that random numbers are
// the same everywhere: the algorithms of Arm's Optimized Routines (MIT licence; logf.c and
// sincosf.h of github.com/ARM-software/optimized-routines), for the arguments that random numbers
// have. All arithmetic is of doubles, whose result is rounded once; must be compiled without
// contraction of multiply and add.

#include <bit>
#include <cstdint>

namespace deepcache {

// For normal numbers above 0.
inline float exact_log(float x) {
  struct Entry {
    double inverse, log;
  };
  static constexpr Entry kTable[16] = {
      {0x1.661ec79f8f3bep+0, -0x1.57bf7808caadep-2}, {0x1.571ed4aaf883dp+0, -0x1.2bef0a7c06ddbp-2},
      {0x1.49539f0f010bp+0, -0x1.01eae7f513a67p-2},  {0x1.3c995b0b80385p+0, -0x1.b31d8a68224e9p-3},
      {0x1.30d190c8864a5p+0, -0x1.6574f0ac07758p-3}, {0x1.25e227b0b8eap+0, -0x1.1aa2bc79c81p-3},
      {0x1.1bb4a4a1a343fp+0, -0x1.a4e76ce8c0e5ep-4}, {0x1.12358f08ae5bap+0, -0x1.1973c5a611cccp-4},
      {0x1.0953f419900a7p+0, -0x1.252f438e10c1ep-5}, {0x1p+0, 0x0p+0},
      {0x1.e608cfd9a47acp-1, 0x1.aa5aa5df25984p-5},  {0x1.ca4b31f026aap-1, 0x1.c5e53aa362eb4p-4},
      {0x1.b2036576afce6p-1, 0x1.526e57720db08p-3},  {0x1.9c2d163a1aa2dp-1, 0x1.bc2860d22477p-3},
      {0x1.886e6037841edp-1, 0x1.1058bc8a07ee1p-2},  {0x1.767dcf5534862p-1, 0x1.4043057b6ee09p-2}};
  constexpr double kA[3] = {-0x1.00ea348b88334p-2, 0x1.5575b0be00b6ap-2, -0x1.ffffef20a4123p-2};
  constexpr double kLn2 = 0x1.62e42fefa39efp-1;
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  if (bits == 0x3f800000) return 0;
  // x = 2^k z; z lies near the middle of an interval of the table.
  const uint32_t above = bits - 0x3f330000;
  const Entry& entry = kTable[above >> 19 & 15];
  const int k = int32_t(above) >> 23;
  const double z = double(std::bit_cast<float>(bits - (above & 0xff800000)));
  const double r = z * entry.inverse - 1;
  const double y0 = entry.log + double(k) * kLn2;
  const double r2 = r * r;
  double y = kA[1] * r + kA[2];
  y = kA[0] * r2 + y;
  y = y * r2 + (y0 + r);
  return float(y);
}

// Of angles from 0 to 120.
struct SineCosine {
  float sine, cosine;
};

inline SineCosine exact_sine_cosine(float angle) {
  const auto sine = [](double x, double x2) {
    constexpr double kS[3] = {-0x1.555545995a603p-3, 0x1.1107605230bc4p-7, -0x1.994eb3774cf24p-13};
    const double x3 = x * x2, s1 = kS[1] + x2 * kS[2], x7 = x3 * x2, s = x + x3 * kS[0];
    return s + x7 * s1;
  };
  const auto cosine = [](double x2, double sign) {
    constexpr double kC[5] = {0x1p0, -0x1.ffffffd0c621cp-2, 0x1.55553e1068f19p-5,
                              -0x1.6c087e89a359dp-10, 0x1.99343027bf8c3p-16};
    const double x4 = x2 * x2, c2 = sign * kC[3] + x2 * (sign * kC[4]);
    const double c1 = sign * kC[0] + x2 * (sign * kC[1]), x6 = x4 * x2;
    return (c1 + x4 * (sign * kC[2])) + x6 * c2;
  };
  double x = double(angle);
  constexpr float kTiny = 0x1p-12f, kSmall = 0.75f;  // close to pi / 4
  if (angle < kTiny) return {angle, 1};
  if (angle < kSmall) return {float(sine(x, x * x)), float(cosine(x * x, 1))};
  // Quarters of a turn, times 2^24, rounded.
  const double scaled = x * 0x1.45F306DC9C883p+23;
  const int n = (int32_t(scaled) + 0x800000) >> 24;
  x = x - n * 0x1.921FB54442D18p0;
  const double x2 = x * x;
  const float s = float(sine((n + 1) & 2 ? -x : x, x2)), c = float(cosine(x2, n & 2 ? -1 : 1));
  return n & 1 ? SineCosine{c, s} : SineCosine{s, c};
}

}  // namespace deepcache
