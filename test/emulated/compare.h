#pragma once

// Inputs, and how outputs of whole models are compared.

#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "native/test.h"
#include "runtime/backend.h"
#include "runtime/synth.h"

namespace deepcache::test {

// Of unit variance; the same everywhere.
inline std::vector<float> numbers(const std::string& name, std::vector<int64_t> shape) {
  const SyntheticTensor tensor{"input." + name, std::move(shape)};
  std::vector<float> out(tensor.count());
  synthetic_values(tensor, 0, out.size(), out.data());
  return out;
}

// Relative L2; NaN is too much.
inline void check_close(const std::string& what, const std::vector<float>& actual,
                        const std::vector<float>& expected, double tolerance) {
  CHECK_EQ(actual.size(), expected.size());
  double error = 0, norm = 0;
  for (size_t i = 0; i < actual.size(); i++) {
    error += std::pow(double(actual[i]) - double(expected[i]), 2);
    norm += std::pow(double(expected[i]), 2);
  }
  const double relative = std::sqrt(error / norm);
  std::printf("    %-40s relative error %.2e (at most %.0e)\n", what.c_str(), relative, tolerance);
  if (!(relative <= tolerance))
    throw Failure(what + ": relative error " + std::to_string(relative));
}

inline std::shared_ptr<Backend> cpu() { return std::shared_ptr<Backend>(make_cpu_backend(1)); }

}  // namespace deepcache::test
