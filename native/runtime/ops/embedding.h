#pragma once

#include "common.h"

namespace deepcache {

// y = table[id] + positions[place in the sequence]; ids are i32 [n, 1, length, 1]. Ids behind the
// table's are rows of `added`, an input of [rows, 1, 1, width], where there is one.
struct Embedding {
  static constexpr const char* kName = "embedding";
  Tensor y, ids, added;
  WeightId table = -1, positions = -1;

  void inputs(const auto& visit) const { visit(ids), visit(added); }
  void weights(const auto& visit) const { visit(table), visit(positions); }
  void check(const WeightSpecs&) const {
    require(y.shape.rows() == ids.shape.count(), "embedding: shape");
    require(!added || added.shape.c == y.shape.c, "embedding: added rows");
  }
};

}  // namespace deepcache
