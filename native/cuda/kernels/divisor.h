#pragma once

#include "cuda/gpu.h"

namespace deepcache::cuda {

// Divides numbers below 2^31 by one that the host knows: a product's high half and a shift, in
// place of some 30 instructions. (Granlund and Montgomery 1994.)
struct Divisor {
  int value = 1;
  uint32_t factor = 0;  // 2^(31 + shift) / value, rounded up; 0: value is 1
  int shift = 0;

  Divisor() = default;
  explicit Divisor(int by) : value(by) {
    if (by == 1) return;
    while ((1ll << (shift + 1)) < by) shift++;
    factor = uint32_t(((1ull << (32 + shift)) + unsigned(by) - 1) / unsigned(by));
  }

  DEVICE int divide(int number) const {
    return factor ? int(uint64_t(unsigned(number)) * factor >> 32) >> shift : number;
  }
  // Leaves the quotient in `number` and returns the rest.
  DEVICE int take(int& number) const {
    const int whole = divide(number), rest = number - whole * value;
    number = whole;
    return rest;
  }
};

}  // namespace deepcache::cuda
