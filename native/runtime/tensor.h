#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace deepcache {

// `activation`: what layers pass on, stored as the backend likes it (Backend::activation_type).
enum class Type : uint8_t { f32, f16, bf16, i32, activation };

// Of a type that says its size.
inline size_t bytes_of(Type type) { return type == Type::f32 || type == Type::i32 ? 4 : 2; }
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
