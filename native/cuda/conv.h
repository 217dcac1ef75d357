#pragma once

// From a Conv op to the arguments of a product (kernels/matmul.h).

#include "cuda/context.h"
#include "cuda/kernels/matmul.h"

namespace deepcache::cuda {

// Where the tensors and weights of an op lie.
struct Operands {
  const TensorPlace* tensors;
  const WeightPlace* weights;

  View view(const Tensor& tensor) const;
  // Of an op's one or two inputs, x ++ x2 along the channels; without x2, x again with no channels.
  void view(const Tensor& x, const Tensor& x2, View (&views)[2], int (&channels)[2]) const;
  const int32_t* ints(const Tensor& tensor) const {
    return static_cast<const int32_t*>(view(tensor).data);
  }
  const float* vector(WeightId id) const {
    return id < 0 ? nullptr : static_cast<const float*>(weights[id].data);
  }
};

// Whether accesses of eight values are possible: 16-byte alignment.
bool aligned(const View& view);

// All but the splits of k. `shortcut`: a 1x1 convolution that computes op's residual, to be added
// to the same sums; see can_add_shortcut().
MatmulArgs matmul_args(const Conv& op, const Conv* shortcut, const Operands& operands);

// Whether both convolutions can be one product that is no slower: none of them would fall back to
// another kernel for the other's sake.
bool can_add_shortcut(const Conv& op, const Conv& shortcut, const Operands& operands);

// Values between the rows of a packed matrix of that many k-values.
inline int weight_stride(int k) { return (k + 7) / 8 * 8; }

}  // namespace deepcache::cuda
