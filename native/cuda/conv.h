#pragma once

// From a Conv op to matrix products: regions and phases, then tiles and splits of k.

#include <vector>

#include "cuda/context.h"
#include "cuda/kernels/matmul.h"

namespace deepcache::cuda {

struct Product {
  MatmulArgs args;
  MatmulTile tile = MatmulTile::k128x128;
};

// Where the tensors and weights of an op lie.
struct Operands {
  const TensorPlace* tensors;
  const WeightPlace* weights;
  int step = 0;

  View view(const Tensor& tensor) const;
  const int32_t* ints(const Tensor& tensor) const {
    return static_cast<const int32_t*>(view(tensor).data);
  }
  const float* vector(WeightId id) const {
    return id < 0 ? nullptr : static_cast<const float*>(weights[id].data);
  }
};

// Whether accesses of eight values are possible: 16-byte alignment.
bool aligned(const View& view);

// `partials` is for splits of k; partial_bytes() says how much that takes.
std::vector<Product> plan_conv(const Conv& op, const Operands& operands, const gpu::Properties& gpu,
                               float* partials);
size_t partial_bytes(const std::vector<Product>& products);

// Values between the rows of a packed matrix of that many k-values.
inline int weight_stride(int k) { return (k + 7) / 8 * 8; }

}  // namespace deepcache::cuda
