#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace deepcache {

// `activation`: what layers pass on, stored as the backend likes it (Backend::activation_type).
// Weights alone are stored as f64, e4m3 or e5m2.
enum class Type : uint8_t { f32, f16, bf16, i32, activation, f64, e4m3, e5m2 };

// Of a type that says its size.
inline size_t bytes_of(Type type) {
  switch (type) {
    case Type::f64:
      return 8;
    case Type::f32:
    case Type::i32:
      return 4;
    case Type::e4m3:
    case Type::e5m2:
      return 1;
    default:
      return 2;
  }
}
inline size_t bytes_of(Type type, Type activation) {
  return bytes_of(type == Type::activation ? activation : type);
}

// NHWC. Tokens are rows: a sequence of length L is {n, 1, L, c}.
struct Shape {
  int n = 1, h = 1, w = 1, c = 1;

  size_t rows() const { return size_t(n) * h * w; }
  size_t count() const { return rows() * c; }
  bool operator==(const Shape&) const = default;
};

// "[2, 320, 3, 3]".
std::string to_string(const Shape& shape);
std::string to_string(const std::vector<int64_t>& shape);

// A value of a plan: a name for it, not its memory. A view is the same id with another shape of
// the same count.
struct Tensor {
  int id = -1;
  Shape shape;

  explicit operator bool() const { return id >= 0; }
};

}  // namespace deepcache
