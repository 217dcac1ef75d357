#pragma once

// What an op should take on a GPU: a model of the hardware, not a measurement.

#include <string>

#include "ops.h"

namespace deepcache::bench {

struct Chip {
  const char* name;
  double flops;         // of 16-bit tensor cores, as large products reach it
  double memory_bytes;  // a second
  double cache_bytes;   // a second, from the L2
  int multiprocessors;
  double clock;   // Hz
  double launch;  // seconds between two kernels of a graph
};

// 790 TFLOP/s and 4.3 TB/s are what products and copies reach at the clocks that a full load leaves
// (the data sheet says 989 and 4.8); the rest is NVIDIA's architecture documentation. What products
// take of it says hopper_time.h.
constexpr Chip kH200 = {"H200", 790e12, 4.3e12, 7e12, 132, 1.755e9, 1.5e-6};

// What a predicted time is made of, in seconds: launches of all ops; of products the starts of
// blocks, the loops over k, the ends of tiles, and the second kernels of a split k; all of the
// rest.
struct TimeParts {
  double launches = 0, starts = 0, loops = 0, ends = 0, apart = 0, rest = 0;
  TimeParts& operator+=(const TimeParts& other);
};

struct Estimate {
  double floor = 0;      // seconds: the slower of arithmetic and memory, nothing else
  double predicted = 0;  // seconds
  TimeParts parts;       // their sum is `predicted`
  std::string choice;    // tile and splits of a product
};

// `fp8`: products whose weights say so are of e4m3, at twice the rate.
Estimate estimate(const Plan& plan, const Op& op, const Chip& chip, bool fp8 = false);
// All ops, one after the other.
Estimate estimate(const Plan& plan, const OpRanges& segments, const Chip& chip, bool fp8 = false);

}  // namespace deepcache::bench
