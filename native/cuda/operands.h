#pragma once

#include "cuda/api.h"
#include "cuda/kernels/common.h"

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
bool aligned(const float* vector);

}  // namespace deepcache::cuda
