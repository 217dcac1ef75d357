#pragma once

#include <cstddef>
#include <vector>

namespace deepcache {

// A product of two thin matrices, left [rows, rank] * right [rank, width], that is never whole in
// memory.
class Product {
 public:
  Product(std::vector<float> left, const std::vector<float>& right, size_t rank);

  size_t width() const { return width_; }
  // out += scale * rows [first, first + count). On several threads at once.
  void add(size_t first, size_t count, float scale, float* out) const;

 private:
  size_t rank_, width_;
  std::vector<float> left_;
  std::vector<float> panels_;  // of right's columns: [panel][rank][the kernels' panel]
};

}  // namespace deepcache
