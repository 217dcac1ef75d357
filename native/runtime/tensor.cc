#include "tensor.h"

namespace deepcache {

std::string to_string(const Shape& shape) {
  return to_string(std::vector<int64_t>{shape.n, shape.h, shape.w, shape.c});
}

std::string to_string(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); i++) text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

}  // namespace deepcache
