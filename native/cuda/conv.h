#pragma once

// From a Conv op to the arguments of a product (kernels/matmul.h).

#include "cuda/kernels/matmul.h"
#include "cuda/kernels/round_input.h"
#include "cuda/operands.h"

namespace deepcache::cuda {

// All but the splits of k. `shortcut`: a 1x1 convolution that computes op's residual, to be added
// to the same sums; see can_add_shortcut().
MatmulArgs matmul_args(const Conv& op, const Conv* shortcut, const Operands& operands);

// `norm` folded into such a product, whose weight is made for that; its input's sums are the
// caller's matter.
void fold_norm(const LayerNorm& norm, const WeightPlace& weight, const Operands& operands,
               MatmulArgs& args);
// Whether the product can gather sums of the rows that it writes, whatever its tile.
bool can_sum_rows(const MatmulArgs& args);

// How the input of a product of e4m3 becomes codes and scales; where they go is another's matter.
RoundArgs round_args(const Conv& op, const Operands& operands);

// Whether both convolutions can be one product that is no slower: none of them would fall back to
// another kernel for the other's sake.
bool can_add_shortcut(const Conv& op, const Conv& shortcut, const Operands& operands);

// Values between the rows of a packed matrix of that many k-values.
inline int weight_stride(int k) { return (k + 7) / 8 * 8; }

}  // namespace deepcache::cuda
