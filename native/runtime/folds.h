#pragma once

// Layer norms that a backend may fold into the product that reads them:
//
//   norm(x) W^T + bias = (x (W gamma)^T - mean sums(W gamma)) / deviation + (W beta + bias)
//
// The product then reads x itself, and needs of each row its mean and its deviation, which the
// convolution that writes x may gather.

#include <functional>
#include <vector>

#include "ops.h"

namespace deepcache {

// Sets
//   Conv::layer_norm   where a linear layer alone reads what a layer norm makes of rows that are
//                      eights of values, and reads its weight alone,
//   Conv::row_writer   there, to the convolution that writes the norm's input, if it can gather
//                      the sums of its rows, and
//   Conv::sums_rows    of that one.
// From a writer to its reader there is no other such reader, so that sums of all of them have one
// place, whoever gathers them, and no mark: whoever runs one runs both. `is_external(tensor)`:
// whether the tensor outlives the pass. `marked(first, last)`: whether a segment may begin at ops
// [first, last].
void find_folds(std::vector<Op>& ops, const std::vector<WeightSpec>& weights,
                const std::function<bool(int tensor)>& is_external,
                const std::function<bool(int first, int last)>& marked);

// Whether a backend that folds has a norm folded into the product. `fp8`: it multiplies by e4m3
// what may be, whose inputs need the scales of normed rows.
bool is_folded(const Conv& conv, const std::vector<WeightSpec>& weights, bool fp8);

// The weight of such a product, made of its matrix, its norm and its bias. Of names, the matrix'
// come first, then gamma and beta, and the bias'.
WeightSpec folded_spec(const std::vector<Op>& ops, const std::vector<WeightSpec>& weights,
                       const Conv& conv);

}  // namespace deepcache
