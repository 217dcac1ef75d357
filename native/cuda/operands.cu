#include "cuda/operands.h"

namespace deepcache::cuda {

View Operands::view(const Tensor& tensor) const {
  if (!tensor) return {};
  const TensorPlace& place = tensors[tensor.id];
  return {place.data, place.type == Type::f32};
}

void Operands::view(const Tensor& x, const Tensor& x2, View (&views)[2], int (&channels)[2]) const {
  views[0] = view(x);
  views[1] = x2 ? view(x2) : views[0];
  channels[0] = x.shape.c;
  channels[1] = x2 ? x2.shape.c : 0;
}

namespace {
bool is_multiple_of_16(const void* data) { return reinterpret_cast<uintptr_t>(data) % 16 == 0; }
}  // namespace

bool aligned(const View& view) { return is_multiple_of_16(view.data); }
bool aligned(const float* vector) { return is_multiple_of_16(vector); }

}  // namespace deepcache::cuda
