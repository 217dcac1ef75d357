#pragma once

// A T2I-Adapter, on any backend.

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "models/t2i_adapter.h"
#include "models/weight_plans.h"
#include "segment_checks.h"

namespace deepcache::test {

inline T2iAdapterConfig t2i_test_config(const std::string& kind) {
  return T2iAdapterConfig::parse(R"({"in_channels": 3, "num_res_blocks": 1, "downscale_factor": 2,
    "channels": [8, 16, 16], "adapter_type": ")" +
                                 kind + "\"}");
}

// On the CPU, or the same network elsewhere.
inline std::vector<std::vector<float>> t2i_features(const std::string& kind,
                                                    std::shared_ptr<Backend> backend, int side) {
  const T2iAdapterConfig config = t2i_test_config(kind);
  T2iAdapter adapter(config, synthetic_weights(weight_plans(config)), std::move(backend));
  const std::vector<float> image = small_numbers(size_t(2) * 3 * side * side, 7);
  return adapter.encode(image.data(), 2, side, side, nullptr);
}

// What the CPU gives, on another backend.
inline void check_t2i_adapter(std::shared_ptr<Backend> backend, double tolerance) {
  for (const char* kind : {"full_adapter", "full_adapter_xl", "light_adapter"}) {
    const auto expected = t2i_features(kind, make_cpu_backend(1), 12);
    const auto found = t2i_features(kind, backend, 12);
    CHECK_EQ(found.size(), expected.size());
    for (size_t level = 0; level < expected.size(); ++level) {
      double most = 0, off = 0;
      CHECK_EQ(found[level].size(), expected[level].size());
      for (size_t i = 0; i < expected[level].size(); ++i) {
        most = std::max(most, std::fabs(double(expected[level][i])));
        off = std::max(off, std::fabs(double(found[level][i]) - expected[level][i]));
      }
      CHECK(most > 1e-3);
      CHECK(off < tolerance * most);
    }
  }
}

}  // namespace deepcache::test
