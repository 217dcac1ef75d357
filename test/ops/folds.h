#pragma once

// Layer norms between two linear layers, which a backend may fold into them (runtime/folds.h).

#include "op_cases.h"

namespace deepcache::test {

struct FoldCase {
  Shape x;  // of the norm
  int out = 0;
  bool geglu = false, residual = true, bias = true, three = false;
  int in = 64;  // of the product that writes x; 0: x is no product
  // Another norm and its reader are run between what writes x and what reads its norm.
  bool between = false;
  double scale = 1, offset = 0;  // of x
};

// A linear layer, a layer norm of what it adds to a residual, and the linear layer that reads that
// alone.
OpCase fold_case(const std::string& name, const FoldCase& c);

// Named conv_folded_...: those that backends fold.
std::vector<OpCase> fold_cases();

}  // namespace deepcache::test
