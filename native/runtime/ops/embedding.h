#pragma once

#include "common.h"

namespace deepcache {

// y = table[id] + positions[place in the sequence]; ids are i32 [n, 1, length, 1].
struct Embedding {
  static constexpr const char* kName = "embedding";
  Tensor y, ids;
  WeightId table = -1, positions = -1;

  void inputs(const auto& visit) const { visit(ids); }
  void weights(const auto& visit) const { visit(table), visit(positions); }
  void check(const WeightSpecs&) const {
    require(y.shape.rows() == ids.shape.count(), "embedding: shape");
  }
};

}  // namespace deepcache
